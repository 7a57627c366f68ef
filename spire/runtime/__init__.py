"""What everything that waits or counts is given: clock, tasks, metrics, log context."""
