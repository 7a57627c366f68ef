"""Tests of spire.accounting."""
