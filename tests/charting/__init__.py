"""Tests of spire.charting."""
