"""Tests of spire.uid."""
