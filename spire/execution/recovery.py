"""What a starting server takes over: what the store holds, then what only the journal does."""

from collections.abc import Iterable

from attrs import frozen

from spire.database.errors import StoreDown
from spire.database.frames import Frame
from spire.database.journal import JournalMismatch
from spire.execution.chronicle import CODEC, Chronicle
from spire.execution.interfaces import IExecutionStore
from spire.execution.orders import Order, Orders
from spire.execution.values import TakenSize
from spire.values.orders import Side, Status
from spire.wire.errors import Unavailable


@frozen(kw_only=True)
class Recovered:
    """The live orders after a start: those that were never acknowledged, and those that go to their drivers again."""

    never_routed: tuple[Order, ...]
    live: tuple[Order, ...]
    replayed: int


async def restore(store: IExecutionStore, orders: Orders, chronicle: Chronicle, oldest_business_date: str) -> None:
    """Take over what the store holds. Raises StoreDown."""
    heads = await store.heads()
    positions = await store.positions()
    views = await store.live_orders()
    used_ids = await store.used_ids(oldest_business_date)
    halts = await store.halts()
    for head in heads:
        orders.restore_head(head)
        chronicle.restore(head.trading_account_id, orders.account(head.trading_account_id).sequence)
    for held in positions:
        orders.restore_position(held)
    for view in views:
        orders.restore_order(view)
    for used in used_ids:
        orders.restore_used_id(used)
    orders.halts.restore(halts.in_force, halts.last_id)
    for halt in halts.in_force:
        chronicle.on_halt(halt)


def replay(orders: Orders, chronicle: Chronicle, frames: Iterable[Frame], stored: int, last: int) -> Recovered:
    """Fold what the journal holds behind the position `stored` of the store, and take it to the writer.

    An opening order that the store does not hold was never acknowledged. JournalMismatch: the store holds more than the journal.
    """
    if last < stored:
        raise JournalMismatch(
            f"the database holds events up to {stored}, the journal up to {last} only: restore the journal"
        )
    fresh: set[int] = set()
    count = 0
    for frame in frames:
        if frame.position <= stored:
            continue
        payload = frame.payload
        events = CODEC.decode(payload, CODEC.count(payload), 0, len(payload))
        chronicle.replay(frame.position, events)
        count += len(events)
        submissions = [event.submission for event in events if event.submission is not None]
        fresh.update(each.order_id for each in submissions if each.decision.opening)
    live = sorted(orders.live, key=lambda order: order.submission.order_id)
    never_routed = [
        order for order in live if order.submission.order_id in fresh and order.state.status is Status.PENDING_NEW
    ]
    return Recovered(
        never_routed=tuple(never_routed),
        live=tuple(order for order in live if order not in never_routed),
        replayed=count,
    )


async def taken_sizes(orders: Orders, store: IExecutionStore, instrument_id: int) -> tuple[TakenSize, ...]:
    """Return what the last fills took of an instrument's quote: what is known here goes before the store. Raises Unavailable."""
    here = [orders.taken(instrument_id, side) for side in (Side.BUY, Side.SELL)]
    found = {each.side: each for each in here if each is not None}
    try:
        stored = await store.taken(instrument_id)
    except StoreDown as error:
        raise Unavailable("The database is away.") from error
    for each in stored:
        found.setdefault(each.side, each)
    return tuple(found.values())
