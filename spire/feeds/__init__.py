"""Simulated and replayed market-data feeds, and the file formats that they read."""
