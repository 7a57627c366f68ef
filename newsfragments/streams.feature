Servers push log and state topics that clients resume without a hole, and answer one query model for history with filters.
