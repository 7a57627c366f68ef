"""Tests of spire.client."""
