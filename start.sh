#!/bin/sh
# Starts an instance in order, each server ready before the next.
exec "$(dirname -- "$0")/bin/manage" start "$@"
