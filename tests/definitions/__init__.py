"""Tests of spire.definitions."""
