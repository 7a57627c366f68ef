"""Setup, start, stop and check of an instance, and the commands that people type."""
