"""Tests of the Risk Server."""
