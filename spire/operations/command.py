"""The `spire` command: what people type."""

from typing import Final

from spire.operations.commands import halts, limits, market, orders, replay, risk, session, violations
from spire.operations.commands.front import make_front

HELP: Final = """Trade, chart and replay on a Spire platform, and watch its limits.

Begin with: spire login ACCOUNT

Results go to standard output, everything else to standard error. The exit status is 0 when it is done, 1 when it
was refused or could not be reached, 2 for a wrong command line, 130 after Ctrl-C.
"""

main = make_front(
    "spire",
    HELP,
    (
        session.login,
        session.logout,
        session.status,
        market.quotes,
        market.trades,
        market.chart,
        orders.order,
        orders.positions,
        risk.risk,
        limits.show_limits,
        violations.violations,
        halts.halt,
        replay.replay,
    ),
)
