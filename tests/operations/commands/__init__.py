"""The `spire` command."""
