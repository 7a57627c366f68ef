"""What everything that waits or counts is given: clock, chance, tasks, waiters, turnstile, metrics, log context."""
