"""`spire order submit|cancel|list|show` and `spire positions`."""

from typing import Any

import click

from spire.accounting.portfolio import mark
from spire.accounting.position import unrealised
from spire.client.platform import Spire
from spire.client.positions import ActivityLedger
from spire.definitions.client import DefinitionsClient
from spire.execution.values import Activity, OrderRequest, OrderScope, OrderView, TradingAccountView
from spire.marketdata.values import bbo_of
from spire.operations.commands.accounts import id_among
from spire.operations.commands.output import Column, Output
from spire.operations.commands.parameters import ORDER_ID, PRICE, QUANTITY
from spire.operations.commands.shell import logged_in
from spire.values.amounts import Price, Quantity, Rounding, divide, format_amount
from spire.values.conversion import to_plain
from spire.values.orders import OrderType, Side, TimeInForce, TradingSession
from spire.values.time import format_timestamp
from spire.wire.errors import Forbidden, Invalid, NotFound, Unavailable

SERVICE = "order_execution_service"
HISTORY_SECONDS = 15.0
MARKET_SECONDS = 3.0
"""Positions are shown without marks when market data is not there within this time."""

ORDER_COLUMNS = (
    Column("order_id", "Order", numeric=True),
    Column("account", "Account", number="trading_account_id"),
    Column("side", "Side"),
    Column("quantity", "Quantity", numeric=True),
    Column("ticker", "Ticker"),
    Column("type", "Type"),
    Column("limit_price", "Limit", numeric=True),
    Column("time_in_force", "TIF"),
    Column("status", "Status"),
    Column("cumulative", "Filled", numeric=True),
    Column("average_price", "Average", numeric=True),
    Column("reason", "Reason"),
)
EVENT_COLUMNS = (
    Column("sequence", "Sequence", numeric=True),
    Column("time", "Time (UTC)", is_time=True),
    Column("event", "Event"),
    Column("status", "Status"),
    Column("last_quantity", "Quantity", numeric=True),
    Column("last_price", "Price", numeric=True),
    Column("leaves", "Leaves", numeric=True),
    Column("quote_sequence", "Quote", numeric=True),
    Column("reason", "Reason"),
)
POSITION_COLUMNS = (
    Column("account", "Account"),
    Column("ticker", "Ticker"),
    Column("quantity", "Quantity", numeric=True),
    Column("average_price", "Average", numeric=True),
    Column("cost", "Cost", numeric=True),
    Column("mark", "Mark", numeric=True),
    Column("realised", "Realised", numeric=True),
    Column("unrealised", "Unrealised", numeric=True),
    Column("currency", "Currency"),
)

only_option = click.option("--account", help="Of this trading account only. [default: of all that you see]")


@click.group()
def order() -> None:
    """Submit, cancel, list and show orders."""


@order.command()
@click.argument("side", metavar="{buy|sell}", type=click.Choice(list(Side.__members__), case_sensitive=False))
@click.argument("quantity", type=QUANTITY)
@click.argument("ticker")
@click.option("--limit", type=PRICE, help="The limit price; without it a market order.")
@click.option("--account", help="The trading account; needed where you see several.")
@click.option(
    "--tif",
    type=click.Choice(list(TimeInForce.__members__), case_sensitive=False),
    metavar="[day|ioc|fok]",
    default="DAY",
    show_default=True,
    help="Time in force; this release refuses gtc, gtd, opg and cls.",
)
@click.option(
    "--session",
    type=click.Choice(list(TradingSession.__members__), case_sensitive=False),
    metavar="[regular|extended]",
    default="REGULAR",
    show_default=True,
    help="The trading session that it works in; this release refuses overnight.",
)
@click.option("--client-order-id", default="", help="Your own id for it; the same id again is the same order.")
@click.option("--no-wait", is_flag=True, help="Show the order as acknowledged; do not wait for its first reports.")
@logged_in
async def submit(
    spire: Spire,
    output: Output,
    side: str,
    quantity: Quantity,
    ticker: str,
    limit: Price | None,
    account: str | None,
    tif: str,
    session: str,
    client_order_id: str,
    no_wait: bool,
) -> None:
    """Submit an order, and show what becomes of it.

    For example: spire order submit buy 100 BAC.XNYS --limit 14.05

    The exit status is 0 for every order that was accepted, filled or not. This release refuses sell_short and
    sell_short_exempt: what an account holds is sold with sell.
    """
    await spire.ready(SERVICE)
    number, trading_account = await the_account(spire, account)
    request = OrderRequest(
        client_order_id=client_order_id or spire.orders.client_order_id(),
        trading_account_id=number,
        ticker=ticker,
        side=Side[side.upper()],
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        quantity=quantity,
        limit_price=limit,
        time_in_force=TimeInForce[tif.upper()],
        trading_session=TradingSession[session.upper()],
    )
    try:
        view = await spire.orders.submit(request)
    except Unavailable as error:
        if error.in_doubt:
            error.details["again"] = (
                f"the same command with --client-order-id {request.client_order_id}, never twice one order"
            )
        raise
    if not no_wait:
        view = await spire.settled(view)
    output.table(ORDER_COLUMNS, [order_row(view, trading_account)])


@order.command()
@click.argument("order_id", type=ORDER_ID)
@logged_in
async def cancel(spire: Spire, output: Output, order_id: int) -> None:
    """Cancel the order ORDER_ID."""
    await spire.ready(SERVICE)
    view = await spire.settled(await spire.orders.cancel(order_id))
    output.table(ORDER_COLUMNS, [order_row(view, await account_of(spire, view.submission.trading_account_id))])


@order.command("list")
@only_option
@click.option("--all", "everything", is_flag=True, help="Finished orders too.")
@logged_in
async def list_orders(spire: Spire, output: Output, account: str | None, everything: bool) -> None:
    """List live orders, of every trading account that you see or of one."""
    await spire.ready(SERVICE)
    scope = OrderScope.ALL if everything else OrderScope.LIVE
    rows = [
        order_row(view, trading_account)
        for trading_account in await the_accounts(spire, account)
        for view in await spire.orders.orders(trading_account.trading_account_id, scope=scope)
    ]
    output.table(
        ORDER_COLUMNS, rows, empty="No orders." if everything else "No live orders; with --all finished ones too."
    )


@order.command()
@click.argument("order_id", type=ORDER_ID)
@logged_in
async def show(spire: Spire, output: Output, order_id: int) -> None:
    """Show the order ORDER_ID and everything that happened to it."""
    await spire.ready(SERVICE)
    for trading_account in await spire.orders.trading_accounts():
        found = await spire.orders.orders(trading_account.trading_account_id, order_id=order_id)
        if not found:
            continue
        ledger = ActivityLedger(spire.orders, trading_account.trading_account_id)
        await ledger.when_ready(HISTORY_SECONDS)
        events = [event for event in ledger.events if event.order_id == order_id]
        ledger.close()
        if output.as_json:
            output.line({"order": to_plain(found[0]), "activity": [to_plain(event) for event in events]})
            return
        output.table(ORDER_COLUMNS, [order_row(found[0], trading_account)])
        output.table(EVENT_COLUMNS, [event_row(event) for event in events])
        return
    raise NotFound(f"There is no order {order_id} that you may see.", order_id=order_id)


@click.command()
@only_option
@logged_in
async def positions(spire: Spire, output: Output, account: str | None) -> None:
    """Show positions with cost, realised and unrealised profit.

    Computed here from the account's activity and the current quotes: a long position is marked at the bid, a short one
    at the ask; without both sides, or on a stale quote, there is no mark.
    """
    definitions = await spire.definitions_ready()
    await spire.ready(SERVICE)
    rows = []
    marks = Marks(spire, definitions, output)
    for trading_account in await the_accounts(spire, account):
        ledger = ActivityLedger(spire.orders, trading_account.trading_account_id)
        await ledger.when_ready(HISTORY_SECONDS)
        ledger.close()
        for instrument_id, position in sorted(ledger.portfolio.positions.items()):
            price = await marks.of(instrument_id, position.quantity)
            rows.append(
                {
                    "account": trading_account.name,
                    "ticker": str(definitions.instruments.by_id(instrument_id).ticker),
                    "quantity": format_amount(position.quantity),
                    "average_price": _amount(position.average_price),
                    "cost": format_amount(position.cost),
                    "mark": _amount(price),
                    "realised": format_amount(position.realised),
                    "unrealised": _amount(None if price is None else unrealised(position, price)),
                    "currency": position.currency,
                }
            )
    output.table(POSITION_COLUMNS, rows, empty="No positions.")


class Marks:
    """Where positions could be closed now; without market data there are none, and a note says why."""

    def __init__(self, spire: Spire, definitions: DefinitionsClient, output: Output) -> None:
        self._spire = spire
        self._definitions = definitions
        self._output = output
        self._is_available = True

    async def of(self, instrument_id: int, quantity: Quantity) -> Price | None:
        """Return the mark of a position, None where no quote can be trusted."""
        if not quantity or not self._is_available:
            return None
        try:
            return await self._mark(instrument_id, quantity)
        except (Forbidden, Unavailable) as error:
            self._is_available = False
            self._output.note(f"Without marks: {error.message}")
            return None

    async def _mark(self, instrument_id: int, quantity: Quantity) -> Price | None:
        await self._spire.ready(self._spire.deployment.market_data_service, MARKET_SECONDS)
        markets = self._spire.market_data.markets()
        await markets.view.when_ready()
        listing = self._definitions.instruments.by_id(instrument_id).listing_venue
        snapshot = await self._spire.market_data.snapshot(instrument_id, with_book=False)
        if not len(snapshot.bbo) or markets.is_stale(self._definitions.venues.by_mic(listing).number):
            return None
        quote = bbo_of(snapshot.bbo[0])
        bid = None if quote.bid is None else quote.bid.price
        ask = None if quote.ask is None else quote.ask.price
        return mark(quantity, bid, ask)


async def the_accounts(spire: Spire, name: str | None) -> tuple[TradingAccountView, ...]:
    """Return the trading accounts that the caller sees, or the one of a name or number."""
    seen = await spire.orders.trading_accounts()
    if name is None:
        return seen
    number = _id_among(name, seen)
    found = tuple(each for each in seen if each.trading_account_id == number)
    if not found:
        raise NotFound(f"There is no trading account {name} that you may see.", account=name)
    return found


async def the_account(spire: Spire, name: str | None) -> tuple[int, TradingAccountView | None]:
    """Return the trading account of a name or number, or the only one that the caller sees.

    A number is taken as it is: whether the caller may trade there is the server's to say.
    """
    seen = await spire.orders.trading_accounts()
    if name is not None:
        number = _id_among(name, seen)
        return number, next((each for each in seen if each.trading_account_id == number), None)
    if not seen:
        raise NotFound("You see no trading account.")
    if len(seen) > 1:
        raise Invalid(f"Name the trading account with --account: {', '.join(each.name for each in seen)}.")
    return seen[0].trading_account_id, seen[0]


def _id_among(name: str, seen: tuple[TradingAccountView, ...]) -> int:
    return id_among(name, {each.trading_account_id: each.name for each in seen})


async def account_of(spire: Spire, trading_account_id: int) -> TradingAccountView | None:
    """Return a trading account by its id, None where the caller does not see it."""
    for each in await spire.orders.trading_accounts():
        if each.trading_account_id == trading_account_id:
            return each
    return None


def order_row(view: OrderView, account: TradingAccountView | None) -> dict[str, Any]:
    """Return one line of orders."""
    submission = view.submission
    average = divide(view.state().notional, view.cumulative, Rounding.HALF_EVEN) if view.cumulative else None
    return {
        "order_id": str(view.order_id),
        "client_order_id": submission.client_order_id,
        "account": None if account is None else account.name,
        "trading_account_id": str(submission.trading_account_id),
        "side": submission.side.name,
        "quantity": format_amount(view.quantity),
        "ticker": str(submission.ticker),
        "type": submission.type.name,
        "limit_price": _amount(submission.limit_price),
        "time_in_force": submission.time_in_force.name,
        "session": submission.trading_session.name,
        "status": view.status.name,
        "cumulative": format_amount(view.cumulative),
        "leaves": format_amount(view.leaves),
        "average_price": _amount(average),
        "reason": view.reason,
        "text": view.text,
    }


def event_row(event: Activity) -> dict[str, Any]:
    """Return one line of what happened to an order."""
    report = event.report
    return {
        "sequence": str(event.sequence),
        "time": format_timestamp(event.time),
        "event": "SUBMITTED" if report is None else report.exec_type.name,
        "status": "PENDING_NEW" if report is None else report.status.name,
        "last_quantity": None if report is None else _amount(report.last_quantity),
        "last_price": None if report is None else _amount(report.last_price),
        "leaves": None if report is None else format_amount(report.leaves),
        "quote_sequence": None if report is None or report.quote_sequence is None else str(report.quote_sequence),
        "reason": None if report is None else report.reason,
    }


def _amount(value: int | None) -> str | None:
    return None if value is None else format_amount(value)
