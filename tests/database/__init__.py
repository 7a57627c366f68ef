"""Tests of spire.database."""
