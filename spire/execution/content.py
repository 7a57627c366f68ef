"""What makes two requests under one client order id the same order: the digest of their content (sans-I/O)."""

from hashlib import blake2b
from typing import Final

from spire.values.codes import Currency
from spire.values.orders import Capacity, OrderType, Side, TimeInForce, TradingSession
from spire.values.submission import Submission

DIGEST_BYTES: Final = 16


def digest_of(submission: Submission) -> bytes:
    """Return the digest of what the client asked for: two submissions of one id are the same order if it is equal."""
    return content_digest(
        instrument_id=submission.instrument_id,
        destination=submission.destination,
        side=submission.side,
        order_type=submission.type,
        quantity=submission.quantity,
        limit_price=submission.limit_price,
        time_in_force=submission.time_in_force,
        trading_session=submission.trading_session,
        currency=submission.currency,
        capacity=submission.capacity,
        others=(
            submission.parent_order_id,
            submission.order_group_id,
            submission.strategy_id,
            submission.origin,
            submission.locate_id,
            submission.manual,
            sorted(submission.tags.items()),
        ),
    )


def content_digest(
    *,
    instrument_id: int,
    destination: str,
    side: Side,
    order_type: OrderType,
    quantity: int,
    limit_price: int | None,
    time_in_force: TimeInForce,
    trading_session: TradingSession,
    currency: Currency,
    capacity: Capacity,
    others: tuple[object, ...],
) -> bytes:
    """Return the digest of an order's content."""
    content = (
        instrument_id,
        destination,
        int(side),
        int(order_type),
        quantity,
        limit_price,
        int(time_in_force),
        int(trading_session),
        str(currency),
        int(capacity),
        others,
    )
    return blake2b(repr(content).encode(), digest_size=DIGEST_BYTES).digest()
