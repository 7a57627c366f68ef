"""What everything that waits or counts is given: clock, chance, tasks, metrics, log context."""
