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
    Column("account", "Account"),
    Column("state", "Risk state"),
    Column("state_version", "Version", numeric=True),
    Column("state_by", "By"),
    Column("state_since", "Since (UTC)", is_time=True),
    Column("state_expiry", "Disabled at (UTC)", is_time=True),
    Column("state_business_date", "Date"),
    Column("state_reason", "Reason"),
)


async def state_fields(state: RiskState | None, names: Names) -> dict[str, Any]:
    """Return the fields of a risk state; an account without one is ACTIVE, and nobody has said why."""
    if state is None:
        return {column.key: None for column in COLUMNS[1:]} | {"state": RiskMode.ACTIVE.name, "state_version": "0"}
    return {
        "state": state.mode.name,
        "state_version": str(state.version),
        "state_by": await _author(state, names),
        "state_since": format_timestamp(state.since),
        "state_expiry": time_or_none(state.expiry),
        "state_business_date": state.business_date,
        "state_reason": state.reason,
    }


async def _author(state: RiskState, names: Names) -> str:
    """Return the officer for whom the Risk Server wrote it, else who wrote it."""
    if state.on_behalf_of is not None:
        return await names.of(state.on_behalf_of)
    name = await names.of(state.actor)
    return RISK_SERVER if name == str(state.actor) else name
