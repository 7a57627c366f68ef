"""The Uid Server: unique ids in blocks."""
