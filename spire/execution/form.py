"""Whether a request can be an order at all, and what it leaves out (sans-I/O): form, what is supported, defaults."""

import re
from typing import Final

from attrs import frozen

from spire.definitions.instruments import Instrument
from spire.definitions.values import Destination
from spire.execution.content import content_digest
from spire.execution.values import (
    LONGEST_CLIENT_ORDER_ID,
    LONGEST_TEXT,
    MOST_TAGS,
    OrderRequest,
    Refusal,
)
from spire.values.amounts import INT64_MAX, SCALE, format_amount
from spire.values.codes import Currency
from spire.values.orders import Capacity, OrderType, Side, TimeInForce, TradingSession

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


def _invalid(argument: str, text: str) -> Refusal:
    return Refusal(code="INVALID", text=f"{argument}: {text}", rule=argument, is_recorded=False)


def _unsupported_refusal(text: str) -> Refusal:
    return Refusal(code="UNSUPPORTED", text=text, is_recorded=False)
