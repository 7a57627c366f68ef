"""Tests of spire.service."""
