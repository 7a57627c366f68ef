"""Tests of spire.feeds."""
