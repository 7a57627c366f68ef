"""`python -m spire` is the `spire` command."""

from spire.operations.command import main

main(prog_name="spire")
