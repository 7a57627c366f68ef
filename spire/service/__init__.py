"""What every server process shares: container, configuration, readiness, admin endpoint and logs."""
