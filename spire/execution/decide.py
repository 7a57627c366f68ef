"""Whether an order may be submitted (sans-I/O): halts, sanity, compliance, limits, buying power, risk state, in this order.

Everything that is asked stands in the arguments; nothing here waits, so that no time passes between check and use.
"""

from collections.abc import Mapping

from attrs import field, frozen

from spire.accounting.buying_power import InstrumentUse, reservation_price
from spire.accounting.opening import needs_short, opens
from spire.accounting.position import Position
from spire.compliance.rules import Breach
from spire.definitions.instruments import InstrumentStatus
from spire.definitions.ticks import is_on_tick, tick_at
from spire.definitions.values import TickTable
from spire.execution.controls import Controls, check_rules, stopped_by_halt, stopped_by_state
from spire.execution.form import Resolved
from spire.execution.matching import Quote
from spire.execution.values import Refusal
from spire.values.amounts import ZERO_MONEY, ZERO_QUANTITY, Money, Price, Quantity, Rounding, format_amount
from spire.values.codes import Currency
from spire.values.submission import DecisionSnapshot
from spire.values.time import Timestamp, format_timestamp

LONGEST_RATE_IDS = 255


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
    """How orders are priced against buying power: `collar` and `margin` in basis points."""

    collar: int
    margin: int


@frozen(kw_only=True)
class Holding:
    """What the trading account holds and works in the instrument, and the buying power that everything else uses.

    `used_elsewhere` is by currency, without those in which nothing is used.
    """

    position: Position | None
    use: InstrumentUse
    used_elsewhere: Mapping[Currency, Money] = field(factory=dict)


@frozen(kw_only=True)
class Decision:
    """Whether the order may go, whether it opens risk, what was seen, and the rules that it broke, those that only report included."""

    refusal: Refusal | None = None
    is_opening: bool
    snapshot: DecisionSnapshot
    breaches: tuple[Breach, ...] = ()


@frozen(kw_only=True)
class Reservation:
    """What an order that opens risk reserves: its price, all that is used with it in the limits' currency, by which rates."""

    price: Price
    used: Money
    rate_ids: str | None


def decide(
    order: Resolved, market: Market, holding: Holding, tick_table: TickTable | None, terms: Terms, controls: Controls
) -> Decision:
    """Return whether an order may be submitted now, and what the decision saw."""
    request = order.request
    held = ZERO_QUANTITY if holding.position is None else holding.position.quantity
    pending = holding.use.side(request.side).quantity
    is_opening = opens(held, request.side, request.quantity, pending)
    refusal = (
        stopped_by_halt(controls, is_opening=is_opening)
        or _off_grid(order, tick_table)
        or _wrong_time(order, market)
        or _beyond_position(order, held, pending, controls, is_opening=is_opening)
    )
    breaches: tuple[Breach, ...] = ()
    if refusal is None:
        instrument = order.instrument
        refusal, breaches = check_rules(controls, instrument.instrument_id, instrument.ticker, request.quantity)
    reservation = None
    if refusal is None and is_opening:
        found = _unlimited(controls) or _unusable_quote(market) or _reserve(order, market, holding, terms, controls)
        if isinstance(found, Refusal):
            refusal = found
        else:
            reservation = found
    if refusal is None:
        refusal = stopped_by_state(controls, is_opening=is_opening)
    return Decision(
        refusal=refusal,
        is_opening=is_opening,
        snapshot=_snapshot(market, controls, None if refusal is not None else reservation, is_opening=is_opening),
        breaches=breaches,
    )


def _beyond_position(
    order: Resolved, held: int, pending: int, controls: Controls, *, is_opening: bool
) -> Refusal | None:
    """Refuse what closes more than there is: of Risk anything that opens, else a SELL that is not marked short."""
    request = order.request
    if controls.by_risk:
        if not is_opening:
            return None
        code, rule, text = "RISK_MAY_ONLY_REDUCE", "reduce", "Orders of the Risk Server may only reduce a position."
        room = max(0, -held * request.side.direction - pending)
    elif needs_short(Quantity(held), request.side, request.quantity, Quantity(pending)):
        code, rule = "SHORT_REQUIRED", "short_required"
        text = "A SELL may not go beyond the long position less the pending sells."
        room = max(0, held - pending)
    else:
        return None
    return Refusal(code=code, text=text, rule=rule, limit=format_amount(room), observed=format_amount(request.quantity))


def _unlimited(controls: Controls) -> Refusal | None:
    if controls.limits is not None:
        return None
    return Refusal(
        code="LIMITS_MISSING",
        text="No limits were ever set for the trading account: an order may only reduce. Ask an administrator.",
        rule="limits",
    )


def _reserve(
    order: Resolved, market: Market, holding: Holding, terms: Terms, controls: Controls
) -> Reservation | Refusal:
    """Return what the order reserves: what each currency uses is converted into that of the limits and rounded up."""
    quote, limits = market.quote, controls.limits
    assert quote is not None
    assert quote.bid is not None
    assert quote.ask is not None
    assert limits is not None
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
    here = holding.use.used(holding.position, (request.side, price, request.quantity))
    amounts = dict(holding.used_elsewhere)
    amounts[order.currency] = Money(amounts.get(order.currency, ZERO_MONEY) + here)
    used = 0
    rate_ids: list[str] = []
    for currency, amount in sorted(amounts.items()):
        if currency == limits.terms.currency:
            used += amount
            continue
        conversion = controls.conversions.get(currency)
        if conversion is None:
            return Refusal(
                code="EXCHANGE_RATE_MISSING",
                text=f"Limits are in {limits.terms.currency}, and no rate converts {currency}.",
                rule="exchange_rate",
                limit=limits.terms.currency,
                observed=currency,
            )
        used += conversion.convert(amount, Rounding.UP)
        rate_ids += [each for each in conversion.rate_ids if each not in rate_ids]
    if used > limits.terms.buying_power:
        return Refusal(
            code="BUYING_POWER",
            text="The order needs more buying power than there is.",
            rule="buying_power",
            limit=format_amount(limits.terms.buying_power),
            observed=format_amount(used),
        )
    return Reservation(price=price, used=Money(used), rate_ids=", ".join(rate_ids)[:LONGEST_RATE_IDS] or None)


def _snapshot(
    market: Market, controls: Controls, reservation: Reservation | None, *, is_opening: bool
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
        exchange_rate_id=None if reservation is None else reservation.rate_ids,
        limits_version=None if controls.limits is None else controls.limits.version,
        rules_version=controls.rules.version,
        reserved_price=None if reservation is None else reservation.price,
        buying_power_used=None if reservation is None else reservation.used,
        opening=is_opening,
    )


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
