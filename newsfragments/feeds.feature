Recorded days replay at any speed with pause, step and until, and a generated market runs around the clock.
