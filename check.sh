#!/bin/sh
# Says how each server is; exits with 0 only if all are up (--json too).
exec "$(dirname -- "$0")/bin/manage" --script "$0" check "$@"
