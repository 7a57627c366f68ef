"""Tests of spire.locator."""
