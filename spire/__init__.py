"""Spire, a distributed trading platform on Twisted."""
