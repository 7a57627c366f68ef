"""Tests of the Market Data Relay."""
