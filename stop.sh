#!/bin/sh
# Stops an instance in reverse order, gracefully, with a deadline.
exec "$(dirname -- "$0")/bin/manage" --script "$0" stop "$@"
