"""Tests of spire.values."""
