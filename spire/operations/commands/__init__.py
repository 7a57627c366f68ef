"""The subcommands of `spire`."""
