"""The `spire-admin` command: how people, limits, rules, entitlements and days are administered."""

import signal
from typing import Final

if __name__ == "__main__":
    # Until the command can end in order, Ctrl-C ends it at once: there is nothing to close yet.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from spire.operations.commands import (
    audit,
    days,
    entitlements,
    groups,
    halts,
    limits,
    people,
    rules,
    session,
)
from spire.operations.commands.front import make_front

HELP: Final = """Administer a Spire platform: groups, people, limits, market data, rules, halts, business days.

Begin with: spire-admin login ACCOUNT (one login for spire and spire-admin)

Results go to standard output, everything else to standard error. The exit status is 0 when it is done, 1 when it
was refused or could not be reached, 2 for a wrong command line, 130 after Ctrl-C.
"""

main = make_front(
    "spire-admin",
    HELP,
    (
        session.login,
        session.logout,
        session.status,
        groups.group,
        groups.trader,
        people.account,
        limits.limits,
        entitlements.entitle,
        rules.rule,
        halts.halt,
        days.day,
        audit.audit,
    ),
)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(prog_name="spire-admin")
