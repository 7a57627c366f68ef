"""Tests of spire.wire."""
