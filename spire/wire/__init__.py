"""The AMP dialect: typed commands, guard, sessions, tickets, TLS and streams."""
