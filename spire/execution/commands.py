"""The commands of Order Execution."""

from typing import Final

from spire.execution.values import OrderQuery, OrderRequest, OrderView, TradingAccountView
from spire.wire.arguments import Integer, Typed
from spire.wire.commands import Command

PAGE_BYTES: Final = 50_000
"""Bytes of one page of answers; the rest follows on the next call."""

_ID: Final = Integer(minimum=1)
_PLACE: Final = Integer(minimum=0)


class SubmitOrder(Command):
    """Submit an order; answered when it is durable and on its way, or with the refusal's code.

    Safe to repeat: the same client order id with the same content answers the first order, with other content CONFLICT.
    """

    arguments = [(b"request", Typed(OrderRequest))]
    response = [(b"order", Typed(OrderView))]


class CancelOrder(Command):
    """Cancel an order; the answer shows it CANCELED, or with a cancel pending where its destination has to say so."""

    arguments = [(b"order_id", _ID)]
    response = [(b"order", Typed(OrderView))]


class QueryOrders(Command):
    """Return a page of orders by id; `next_after` is the id to go on after, absent at the end."""

    arguments = [(b"query", Typed(OrderQuery))]
    response = [(b"orders", Typed(tuple[OrderView, ...])), (b"next_after", Integer(minimum=0, optional=True))]


class ListTradingAccounts(Command):
    """Return the trading accounts that the caller may see, by id, after `after`."""

    arguments = [(b"after", _PLACE)]
    response = [
        (b"accounts", Typed(tuple[TradingAccountView, ...])),
        (b"next_after", Integer(minimum=0, optional=True)),
    ]
