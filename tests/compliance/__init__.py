"""Tests of the Compliance Server."""
