"""`spire violations`: orders that broke a rule, refused or only reported."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import click
from twisted.internet.defer import Deferred

from spire.client.platform import Spire
from spire.compliance.values import Violation, ViolationQuery
from spire.locator.values import ROOT_ID
from spire.operations.commands.accounts import Names, group, trading_account_id, trading_accounts
from spire.operations.commands.following import Printer, follow_to_end
from spire.operations.commands.output import Column, Output, named, short_time
from spire.operations.commands.parameters import Whole
from spire.operations.commands.shell import logged_in
from spire.operations.commands.tickers import tickers_of
from spire.values.amounts import Quantity, format_amount
from spire.values.time import format_timestamp
from spire.wire.errors import SpireError

SERVICE: Final = "compliance_service"
PAGE: Final = 100

COLUMNS: Final = (
    Column("time", "Time (UTC)", is_time=True),
    Column("account", "Account", number="trading_account_id"),
    Column("side", "Side"),
    Column("quantity", "Quantity", numeric=True),
    Column("ticker", "Ticker"),
    Column("rule", "Rule"),
    Column("state", "State"),
    Column("limit", "Limit", numeric=True),
    Column("observed", "Observed", numeric=True),
    Column("order_id", "Order", numeric=True),
    Column("entered_by", "By", number="entered_by_id"),
)


@click.command()
@click.option("--account", help="Of this trading account.")
@click.option("--group", "group_name", help="Of the trading accounts of this trading group.")
@click.option("--rule", "rule_id", type=Whole(min=1), help="Of the rule with this number.")
@click.option("--last", "limit", type=Whole(1, 100_000), default=50, show_default=True, help="How many at most.")
@click.option("--follow", is_flag=True, help="Go on with each one until Ctrl-C.")
@logged_in
async def violations(
    spire: Spire,
    output: Output,
    account: str | None,
    group_name: str | None,
    rule_id: int | None,
    limit: int,
    follow: bool,
) -> None:
    """Show the latest orders that broke a rule, oldest first, of all trading accounts that you see.

    For example: spire violations --group demo --follow

    ACTIVE rules have refused the order, PASSIVE ones only report it.
    """
    if account is not None and group_name is not None:
        raise click.UsageError("--account and --group exclude each other.")
    known = await trading_accounts(spire, output.note)
    entry_id, followed = await _meant(spire, known, account, group_name)
    ticker = await tickers_of(spire)
    await spire.ready(SERVICE)
    held = await _follow(spire, followed) if follow else []
    found = await _latest(spire, ViolationQuery(entry_id=entry_id, rule_id=rule_id, limit=min(limit, PAGE)), limit)
    names = Names(spire, known)
    for violation in found:
        await names.of(violation.entered_by)
    rows = [violation_row(violation, names.known, ticker) for violation in found]
    output.table(COLUMNS, rows, empty="No violations.")
    if not follow:
        return
    shown = {(violation.epoch, violation.sequence) for violation in found}

    def write(violation: Violation) -> None:
        if (violation.epoch, violation.sequence) in shown or rule_id not in (None, violation.rule_id):
            return
        row = violation_row(violation, names.known, ticker)
        output.line(row, violation_text(row))

    for printer in held:
        printer.release(write)
    await follow_to_end(output, spire.compliance.session, held)


async def _meant(
    spire: Spire, known: Mapping[int, str], account: str | None, group_name: str | None
) -> tuple[int, list[int]]:
    """Return the directory entry that is asked about, and the trading accounts to follow."""
    if account is not None:
        number = await trading_account_id(spire, account)
        return number, [number]
    if group_name is None:
        return ROOT_ID, sorted(known)
    entry = await group(spire, group_name)
    places = await spire.directory.children(entry.entry_id)
    accounts = [
        member.entry_id
        for place in places
        if place.name == "accounts"
        for member in await spire.directory.children(place.entry_id)
    ]
    return entry.entry_id, [number for number in accounts if number in known]


async def _latest(spire: Spire, query: ViolationQuery, limit: int) -> list[Violation]:
    """Return the latest violations, oldest first."""
    found: list[Violation] = []
    following: ViolationQuery | None = query
    while following is not None and len(found) < limit:
        page, following = await spire.compliance.violations(following)
        found += page
    return found[:limit][::-1]


async def _follow(spire: Spire, accounts: list[int]) -> list["HeldPrinter"]:
    """Return printers that hold back what comes from now on."""
    printers = []
    for number in accounts:
        printer = HeldPrinter()
        spire.compliance.follow_violations(number, printer)
        printers.append(printer)
    for printer in printers:
        await printer.begun
    return printers


class HeldPrinter(Printer[tuple[Violation, ...]]):
    """Holds what comes until it is released, so that what happens while the past is read is neither lost nor doubled."""

    def __init__(self) -> None:
        self._held: list[Violation] = []
        self.begun: Deferred[None] = Deferred()
        super().__init__(self._held.append)

    def ready(self) -> None:
        """Know that it is followed."""
        if not self.begun.called:
            self.begun.callback(None)

    def lost(self, error: SpireError) -> None:
        """Fail who waits for its beginning, or for its end."""
        if not self.begun.called:
            self.begun.errback(error)
        else:
            super().lost(error)

    def release(self, write: Callable[[Violation], None]) -> None:
        """Write what was held, and from now on what comes."""
        self._write = write
        self.update(tuple(self._held))


def violation_row(
    violation: Violation, names: Mapping[int, str | None], ticker: Callable[[int], str]
) -> dict[str, Any]:
    """Return one line of violations."""
    return {
        "time": format_timestamp(violation.time),
        "account": names.get(violation.trading_account_id),
        "trading_account_id": str(violation.trading_account_id),
        "side": violation.side.name,
        "quantity": format_amount(Quantity(violation.quantity)),
        "ticker": ticker(violation.instrument_id),
        "rule": f"{violation.schema}/{violation.rule_id}",
        "rule_version": str(violation.rule_version),
        "state": violation.state.name,
        "limit": violation.limit,
        "observed": violation.observed,
        "order_id": str(violation.order_id),
        "client_order_id": violation.client_order_id,
        "entered_by": names.get(violation.entered_by),
        "entered_by_id": str(violation.entered_by),
        "text": violation.text,
    }


def violation_text(row: dict[str, Any]) -> str:
    """Return a violation as it goes by."""
    order = f"{row['side']} {row['quantity']} {row['ticker']}"
    limits = "" if row["limit"] is None else f"  {row['observed']} > {row['limit']}"
    return f"{short_time(row['time']):<23}  {named(row['account'], row['trading_account_id']):<16}  {order:<28}  {row['state']:<8}  {row['rule']}{limits}"
