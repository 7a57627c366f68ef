"""Whether an order may be submitted (sans-I/O): defaults, sanity, what is not supported, ticks, sessions, shorts, buying power.

Everything that is asked stands in the arguments; nothing here waits, so that no time passes between check and use.
"""

import re
from typing import Final

from attrs import frozen

from spire.accounting.buying_power import InstrumentUse, reservation_price
from spire.accounting.opening import needs_short, opens
from spire.accounting.position import Position
from spire.definitions.instruments import Instrument, InstrumentStatus
from spire.definitions.ticks import is_on_tick, tick_at
from spire.definitions.values import Destination, TickTable
from spire.execution.matching import Quote
from spire.execution.orders import content_digest
from spire.execution.values import (
    LONGEST_CLIENT_ORDER_ID,
    LONGEST_TEXT,
    MOST_TAGS,
    OrderRequest,
    Refusal,
)
from spire.values.amounts import INT64_MAX, SCALE, ZERO_QUANTITY, Money, Price, format_amount
from spire.values.codes import Currency
from spire.values.orders import Capacity, OrderType, Side, TimeInForce, TradingSession
from spire.values.submission import DecisionSnapshot
from spire.values.time import Timestamp, format_timestamp

GREATEST_QUANTITY: Final = 1_000_000_000 * SCALE
GREATEST_PRICE: Final = 10_000_000 * SCALE

_PRINTABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_TYPES: Final = (OrderType.MARKET, OrderType.LIMIT)
_SIDES: Final = (Side.BUY, Side.SELL)
_TIMES_IN_FORCE: Final = (TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)
_SESSIONS: Final = (TradingSession.REGULAR, TradingSession.EXTENDED)
_REFERENCES: Final = ("parent_order_id", "order_group_id", "strategy_id")
"""Numbers of the client's that a column of the store must hold: one that does not fit would stop the writer."""


@frozen(kw_only=True)
class Resolved:
    """A request with its defaults filled in; `digest` is that of its content."""

    request: OrderRequest
    instrument: Instrument
    destination: str
    currency: Currency
    capacity: Capacity
    digest: bytes


@frozen(kw_only=True)
class Market:
    """What is known of the instrument's market at the moment of the decision.

    `window` is when an order of the wanted session works on `trade_date` in market time, both None where there is no such
    session; an end of None never comes. `age` is nanoseconds since the quote was received;
    `waits_for_store` says that quotes are not followed yet because the database is away.
    """

    market_time: Timestamp | None
    trade_date: str
    has_window: bool
    window_end: Timestamp | None
    quote: Quote | None
    quote_epoch: int | None
    age: int | None
    is_stale: bool
    waits_for_store: bool = False


@frozen(kw_only=True)
class Terms:
    """What the firm allows: the currency and buying power of each trading account; `collar` and `margin` in basis points."""

    currency: Currency
    buying_power: Money
    collar: int
    margin: int


@frozen(kw_only=True)
class Holding:
    """What the trading account holds and works in the instrument, and the buying power that everything else uses."""

    position: Position | None
    use: InstrumentUse
    used_elsewhere: Money


@frozen(kw_only=True)
class Accepted:
    """The order may go: whether it opens risk, and what the decision saw."""

    is_opening: bool
    snapshot: DecisionSnapshot


def check_form(request: OrderRequest) -> Refusal | None:
    """Refuse what can be no order whatever the market is: INVALID with the field's name, or UNSUPPORTED."""
    return _malformed(request) or _unsupported(request)


def resolve(
    request: OrderRequest,
    instrument: Instrument,
    destinations: tuple[Destination, ...],
    default_capacity: Capacity | None,
    drivers: frozenset[str],
) -> Resolved | Refusal:
    """Fill in what the request leaves out, or refuse it."""
    if request.currency is not None and request.currency != instrument.currency:
        return _invalid("currency", f"{instrument.ticker} trades in {instrument.currency}, not in {request.currency}")
    usable = [each for each in destinations if instrument.listing_venue in each.venues]
    if request.destination is not None:
        usable = [each for each in usable if each.name == request.destination]
        if not usable:
            return _invalid("destination", f"{request.destination} takes no orders in {instrument.ticker}")
    else:
        usable.sort(key=lambda each: (instrument.listing_venue not in each.preferred_for, each.name))
        if not usable:
            return _unsupported_refusal(f"No destination takes orders in {instrument.ticker}.")
    destination = usable[0]
    if destination.driver not in drivers:
        return _unsupported_refusal(
            f"Destination {destination.name} needs the driver {destination.driver}, which is not set up."
        )
    capacity = request.capacity or default_capacity or Capacity.AGENCY
    return Resolved(
        request=request,
        instrument=instrument,
        destination=destination.name,
        currency=instrument.currency,
        capacity=capacity,
        digest=content_digest(
            instrument_id=instrument.instrument_id,
            destination=destination.name,
            side=request.side,
            order_type=request.type,
            quantity=request.quantity,
            limit_price=request.limit_price,
            time_in_force=request.time_in_force,
            trading_session=request.trading_session,
            currency=instrument.currency,
            capacity=capacity,
            others=(
                request.parent_order_id,
                request.order_group_id,
                request.strategy_id,
                request.origin,
                request.locate_id,
                request.manual,
                sorted(request.tags.items()),
            ),
        ),
    )


def decide(
    order: Resolved, market: Market, holding: Holding, tick_table: TickTable | None, terms: Terms
) -> Accepted | Refusal:
    """Return whether an order may be submitted now, and what the decision saw."""
    request = order.request
    refusal = _off_grid(order, tick_table) or _wrong_time(order, market)
    if refusal is not None:
        return refusal
    held = ZERO_QUANTITY if holding.position is None else holding.position.quantity
    pending = holding.use.side(request.side).quantity
    if needs_short(held, request.side, request.quantity, pending):
        return Refusal(
            code="SHORT_REQUIRED",
            text="A SELL may not go beyond the long position less the pending sells.",
            rule="short_required",
            limit=format_amount(max(0, held - pending)),
            observed=format_amount(request.quantity),
        )
    if not opens(held, request.side, request.quantity, pending):
        return Accepted(is_opening=False, snapshot=_snapshot(market, is_opening=False))
    return _decide_opening(order, market, holding, terms)


def _decide_opening(order: Resolved, market: Market, holding: Holding, terms: Terms) -> Accepted | Refusal:
    refusal = _unusable_quote(market)
    if refusal is not None:
        return refusal
    if order.currency != terms.currency:
        return Refusal(
            code="EXCHANGE_RATE_MISSING",
            text=f"Buying power is in {terms.currency}, and nothing converts {order.currency}.",
            rule="buying_power",
        )
    quote = market.quote
    assert quote is not None
    assert quote.bid is not None
    assert quote.ask is not None
    request = order.request
    price = reservation_price(
        request.side,
        request.type,
        request.limit_price,
        quote.bid,
        quote.ask,
        collar=terms.collar,
        margin=terms.margin,
    )
    used = Money(holding.used_elsewhere + holding.use.used(holding.position, (request.side, price, request.quantity)))
    if used > terms.buying_power:
        return Refusal(
            code="BUYING_POWER",
            text="The order needs more buying power than there is.",
            rule="buying_power",
            limit=format_amount(terms.buying_power),
            observed=format_amount(used),
        )
    return Accepted(is_opening=True, snapshot=_snapshot(market, is_opening=True, price=price, used=used))


def _snapshot(
    market: Market, *, is_opening: bool, price: Price | None = None, used: Money | None = None
) -> DecisionSnapshot:
    quote = market.quote
    return DecisionSnapshot(
        quote_sequence=None if quote is None else quote.sequence,
        quote_epoch=market.quote_epoch,
        bid=None if quote is None else quote.bid,
        bid_size=None if quote is None or quote.bid is None else quote.bid_size,
        ask=None if quote is None else quote.ask,
        ask_size=None if quote is None or quote.ask is None else quote.ask_size,
        quote_age=market.age,
        reserved_price=price,
        buying_power_used=used,
        opening=is_opening,
    )


def _malformed(request: OrderRequest) -> Refusal | None:
    name = request.client_order_id
    if not 1 <= len(name) <= LONGEST_CLIENT_ORDER_ID or not _PRINTABLE.fullmatch(name):
        return _invalid(
            "client_order_id", f"write 1 to {LONGEST_CLIENT_ORDER_ID} printable ASCII characters without blanks"
        )
    if not 0 < request.quantity <= GREATEST_QUANTITY:
        return _invalid("quantity", f"must be above 0 and at most {format_amount(GREATEST_QUANTITY)}")
    if request.type is OrderType.LIMIT:
        if request.limit_price is None:
            return _invalid("limit_price", "a LIMIT order needs one")
        if not 0 < request.limit_price <= GREATEST_PRICE:
            return _invalid("limit_price", f"must be above 0 and at most {format_amount(GREATEST_PRICE)}")
    if request.type is OrderType.MARKET and request.limit_price is not None:
        return _invalid("limit_price", "a MARKET order has none")
    texts = {"origin": request.origin, "locate_id": request.locate_id, "destination": request.destination}
    for argument, text in texts.items():
        if text is not None and not 1 <= len(text) <= LONGEST_TEXT:
            return _invalid(argument, f"must have 1 to {LONGEST_TEXT} characters")
    for argument in _REFERENCES:
        number = getattr(request, argument)
        if number is not None and not 0 < number <= INT64_MAX:
            return _invalid(argument, "must be above 0 and fit 64 bits with a sign")
    if request.entered is not None and not 0 <= request.entered <= INT64_MAX:
        return _invalid("entered", "must be nanoseconds since 1970")
    if len(request.tags) > MOST_TAGS or any(
        not 0 < number <= INT64_MAX or len(text) > LONGEST_TEXT for number, text in request.tags.items()
    ):
        return _invalid("tags", f"at most {MOST_TAGS}, with numbers above 0 and at most {LONGEST_TEXT} characters each")
    return None


def _unsupported(request: OrderRequest) -> Refusal | None:
    for value, supported in (
        (request.type, _TYPES),
        (request.side, _SIDES),
        (request.time_in_force, _TIMES_IN_FORCE),
        (request.trading_session, _SESSIONS),
    ):
        if value not in supported:
            names = ", ".join(each.name for each in supported)
            return _unsupported_refusal(f"{value.name} is not supported; {names} are.")
    for argument in ("stop_price", "display_quantity", "minimum_quantity", "expire_time"):
        if getattr(request, argument) is not None:
            return _unsupported_refusal(f"{argument} is not supported.")
    return None


def _off_grid(order: Resolved, tick_table: TickTable | None) -> Refusal | None:
    request, instrument = order.request, order.instrument
    if instrument.status is not InstrumentStatus.ACTIVE:
        return Refusal(
            code="INSTRUMENT_NOT_ACTIVE", text=f"{instrument.ticker} is {instrument.status.name}.", rule="instrument"
        )
    if request.quantity % instrument.order_increment:
        return Refusal(
            code="ORDER_INCREMENT",
            text=f"The quantity must be a multiple of {format_amount(instrument.order_increment)}.",
            rule="order_increment",
            limit=format_amount(instrument.order_increment),
            observed=format_amount(request.quantity),
        )
    price = request.limit_price
    if price is None:
        return None
    if tick_table is None:
        return Refusal(code="OFF_TICK", text=f"Tick table {instrument.tick_table} is unknown.", rule="tick")
    if not is_on_tick(tick_table, price):
        return Refusal(
            code="OFF_TICK",
            text="The limit price must be a multiple of the tick.",
            rule="tick",
            limit=format_amount(tick_at(tick_table, price)),
            observed=format_amount(price),
        )
    return None


def _wrong_time(order: Resolved, market: Market) -> Refusal | None:
    session = order.request.trading_session.name
    if not market.has_window:
        return Refusal(
            code="NO_SESSION", text=f"There is no {session} session on {market.trade_date}.", rule="trading_session"
        )
    if market.window_end is not None and market.market_time is not None and market.market_time >= market.window_end:
        return Refusal(
            code="SESSION_ENDED",
            text=f"The {session} session of {market.trade_date} is over.",
            rule="trading_session",
            limit=format_timestamp(market.window_end),
            observed=format_timestamp(market.market_time),
        )
    return None


def _unusable_quote(market: Market) -> Refusal | None:
    quote = market.quote
    if quote is None and market.waits_for_store:
        return Refusal(
            code="STORE_DOWN",
            text="The database is away, and what was taken of this instrument's quotes is not known yet.",
            rule="store",
        )
    if quote is None:
        return Refusal(code="QUOTE_MISSING", text="There is no quote; an order may only reduce.", rule="quote")
    if market.is_stale:
        return Refusal(code="QUOTE_STALE", text="The quote is stale; an order may only reduce.", rule="quote")
    if quote.bid is None or quote.ask is None:
        return Refusal(code="QUOTE_ONE_SIDED", text="The quote has one side; an order may only reduce.", rule="quote")
    if quote.bid > quote.ask:
        return Refusal(
            code="QUOTE_CROSSED",
            text="The quote is crossed; an order may only reduce.",
            rule="quote",
            limit=format_amount(quote.ask),
            observed=format_amount(quote.bid),
        )
    return None


def _invalid(argument: str, text: str) -> Refusal:
    return Refusal(code="INVALID", text=f"{argument}: {text}", rule=argument, is_recorded=False)


def _unsupported_refusal(text: str) -> Refusal:
    return Refusal(code="UNSUPPORTED", text=text, is_recorded=False)
