"""Tests of spire.testing."""
