"""Tests of spire.series."""
