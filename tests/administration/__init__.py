"""Tests of the Administration Server."""
