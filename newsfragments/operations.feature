`bin/quickstart`, `start.sh`, `stop.sh`, `check.sh` and `bin/<server>` set up, start, check and stop an instance with its own database; `bin/test` takes a bare machine to a test run.
