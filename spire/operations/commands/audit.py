"""`spire-admin audit`: what was changed or tried, from the audit logs of all servers."""

from collections.abc import Mapping
from typing import Any, Final

import click
from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred, FirstError, gatherResults

from spire.client.platform import Spire
from spire.operations.commands.accounts import Names, principal
from spire.operations.commands.output import Column, Output
from spire.operations.commands.parameters import MOMENT, Whole, number_or_none
from spire.operations.commands.shell import logged_in
from spire.service.audit import audit_events
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.conversion import to_plain
from spire.values.time import Timestamp, format_timestamp
from spire.wire.client_session import ClientSession
from spire.wire.errors import Forbidden, Internal, NotFound, Overloaded, SpireError, Unavailable

SERVERS: Final[Mapping[str, str]] = {
    "service-locator": "service_locator",
    "administration": "administration_service",
    "compliance": "compliance_service",
    "order-execution": "order_execution_service",
    "risk": "risk_service",
}
"""The services that keep an audit log, by the names of their servers."""

ALL: Final = "all"
PAGE: Final = 200
MOST_SEARCHED: Final = 20_000
"""Events of a log among which a name is looked for that the directory does not know."""

COLUMNS: Final = (
    Column("time", "Time (UTC)", is_time=True),
    Column("server", "Server"),
    Column("by", "By", number="by_id"),
    Column("via", "Via"),
    Column("action", "Action"),
    Column("entity", "Entity"),
    Column("entity_version", "Version", numeric=True),
    Column("outcome", "Outcome"),
    Column("channel", "Channel"),
    Column("reason", "Reason"),
    Column("text", "Refusal"),
)
OPTIONAL: Final = frozenset(("via", "reason", "text"))
"""Columns that are shown where something stands in them."""


@click.command()
@click.option(
    "--server",
    type=click.Choice([*SERVERS, ALL]),
    default=ALL,
    show_default=True,
    help="The server whose log is read.",
)
@click.option("--actor", help="By this account only, itself or through a service.")
@click.option("--entity", help="Of this entity only, as the log names it: KIND:ID.")
@click.option("--action", help="Of this action only, as the log names it.")
@click.option("--since", type=MOMENT, help="From this time on: 2013-10-08T13:30:00Z.")
@click.option("--until", type=MOMENT, help="Until this time.")
@click.option("--last", "limit", type=Whole(1, 100_000), default=50, show_default=True, help="How many at most.")
@logged_in
async def audit(
    spire: Spire,
    output: Output,
    server: str,
    actor: str | None,
    entity: str | None,
    action: str | None,
    since: Timestamp | None,
    until: Timestamp | None,
    limit: int,
) -> None:
    """Show the latest changes and refused attempts of all servers, oldest first; for auditors and administrators.

    For example: spire-admin audit --server administration --actor administrator --last 20

    "By" is the person, "Via" the service that acted for him, if one did. With --json each event is whole, with what
    was before and after. Logs that cannot be read are an error that names them, behind what the others hold.
    """
    account = None if actor is None else await _account_id(spire, actor)
    query = AuditQuery(limit=min(limit, PAGE), actor=account, entity=entity, action=action, since=since, until=until)
    name = actor if account is None else None
    names = Names(spire)
    asked = [each for each in SERVERS if server in (each, ALL)]
    reading = [Deferred.fromCoroutine(_read(spire, each, query, limit, name, names)) for each in asked]
    try:
        logs: list[_Log] = await gatherResults(reading, consumeErrors=True)
    except FirstError as error:
        error.subFailure.raiseException()
    missing = {log.server: log.error for log in logs if log.error is not None}
    found = sorted(((log.server, event) for log in logs for event in log.events), key=lambda one: one[1].time)
    rows = [await event_row(each, event, names) for each, event in found[-limit:]]
    if rows or not missing:
        columns = [column for column in COLUMNS if column.key not in OPTIONAL or any(row[column.key] for row in rows)]
        output.table(columns, rows, empty="No such events.")
    if missing:
        raise _missing(missing)


@frozen(kw_only=True)
class _Log:
    """What was read of a server's log, or why it could not be read."""

    server: str
    events: list[AuditEvent] = field(factory=list)
    error: SpireError | None = None


async def _read(spire: Spire, server: str, query: AuditQuery, limit: int, name: str | None, names: Names) -> _Log:
    """Read one log; whether others can be read does not depend on it."""
    service = SERVERS[server]
    try:
        session = spire.link.session if service == "service_locator" else await spire.ready(service)
        return _Log(server=server, events=await _latest(session, query, limit, name, names))
    except (Unavailable, Overloaded, Internal) as error:
        return _Log(server=server, error=error)


def _missing(errors: Mapping[str, SpireError]) -> Unavailable:
    """Return the error that names every log that could not be read, and why."""
    servers = ", ".join(errors)
    reasons = [error.message.rstrip(".") for error in errors.values()]
    if len(errors) == 1:
        return Unavailable(f"The audit log of {servers} is missing here: {reasons[0]}.", server=servers)
    return Unavailable(f"The audit logs of {servers} are missing here: {'; '.join(reasons)}.", server=servers)


async def _account_id(spire: Spire, name: str) -> int | None:
    """Return an account's number; None for a name that the directory does not tell, which the events may carry."""
    try:
        return (await principal(spire, name)).entry_id
    except (NotFound, Forbidden):
        return None


async def _latest(
    session: ClientSession, query: AuditQuery, limit: int, name: str | None, names: Names
) -> list[AuditEvent]:
    """Return the latest events, newest first, those by or through an account of a name if one is given."""
    found: list[AuditEvent] = []
    seen = 0
    while len(found) < limit and seen < MOST_SEARCHED:
        events, before = await audit_events(session, query)
        seen += len(events)
        found += [event for event in events if name in (None, event.actor_name) or name == await _person(event, names)]
        if before is None:
            break
        query = evolve(query, before=before)
    return found[:limit]


async def _person(event: AuditEvent, names: Names) -> str | None:
    """Return who is behind an event: for whom it was done, else who did it."""
    return event.actor_name if event.on_behalf_of is None else await names.of(event.on_behalf_of)


async def event_row(server: str, event: AuditEvent, names: Names) -> dict[str, Any]:
    """Return an event whole, with who is behind it and through which service."""
    row: dict[str, Any] = {"server": server} | to_plain(event)
    row["time"] = format_timestamp(event.time)
    row["by"] = await _person(event, names)
    row["by_id"] = number_or_none(event.actor if event.on_behalf_of is None else event.on_behalf_of)
    row["via"] = None if event.on_behalf_of is None else event.actor_name
    return row
