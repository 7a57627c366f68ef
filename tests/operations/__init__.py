"""Tests of spire.operations."""
