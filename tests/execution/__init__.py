"""Tests of spire.execution."""
