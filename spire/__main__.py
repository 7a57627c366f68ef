"""`python -m spire` is the `spire` command."""

import signal

# Until the command can end in order, Ctrl-C ends it at once: there is nothing to close yet.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from spire.operations.command import main  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)
main(prog_name="spire")
