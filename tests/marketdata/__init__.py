"""Tests of spire.marketdata."""
