"""Tests of spire.runtime."""
