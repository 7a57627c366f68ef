#!/bin/sh
# Starts an instance in order, each server ready before the next, and opens the business day (not with --no-reset).
exec "$(dirname -- "$0")/bin/manage" --script "$0" start "$@"
