"""Risk states of trading accounts, as `risk` and `limits` tell them: which one holds, by whom, since when, and why."""

from typing import Any, Final

from spire.administration.values import RiskState
from spire.operations.commands.accounts import Names
from spire.operations.commands.output import Column
from spire.operations.commands.parameters import time_or_none
from spire.values.risk import RiskMode
from spire.values.time import format_timestamp

RISK_SERVER: Final = "risk_service"
"""Who writes risk states, where the caller may not read its name."""

COLUMNS: Final = (
    Column("account", "Account", number="trading_account_id"),
    Column("state", "Risk state"),
    Column("state_version", "Version", numeric=True),
    Column("state_by", "By", number="state_by_id"),
    Column("state_since", "Since (UTC)", is_time=True),
    Column("state_expiry", "Disabled at (UTC)", is_time=True),
    Column("state_business_date", "Date"),
    Column("state_reason", "Reason"),
)


async def state_fields(state: RiskState | None, names: Names) -> dict[str, Any]:
    """Return the fields of a risk state; an account without one is ACTIVE, and nobody has said why.

    By whom it is says the officer for whom the Risk Server wrote it, else who wrote it.
    """
    if state is None:
        return {column.key: None for column in COLUMNS[1:]} | {
            "state": RiskMode.ACTIVE.name,
            "state_version": "0",
            "state_by_id": None,
        }
    author = state.actor if state.on_behalf_of is None else state.on_behalf_of
    name = await names.of(author)
    return {
        "state": state.mode.name,
        "state_version": str(state.version),
        "state_by": RISK_SERVER if name is None and state.on_behalf_of is None else name,
        "state_by_id": str(author),
        "state_since": format_timestamp(state.since),
        "state_expiry": time_or_none(state.expiry),
        "state_business_date": state.business_date,
        "state_reason": state.reason,
    }
