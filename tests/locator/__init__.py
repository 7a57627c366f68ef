"""Tests of the Service Locator."""
