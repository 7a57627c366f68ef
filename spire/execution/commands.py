"""The commands of Order Execution."""

from typing import Final

from spire.execution.values import (
    Halt,
    HaltOutcome,
    HaltRequest,
    OrderQuery,
    OrderRequest,
    OrderView,
    TradingAccountView,
)
from spire.wire.arguments import Integer, Text, Typed
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


class SetHalt(Command):
    """Stop orders of a scope, from the journal on; answered when the halt is durable and its cancels were sent.

    Risk officers, and the Risk Server for a trading account. This release has the scopes FIRM and TRADING_ACCOUNT and the action
    CANCEL_ALL. The same halt again (scope, mode and who set it) answers the one in force. Raises FORBIDDEN, NOT_FOUND, INVALID,
    UNSUPPORTED, UNAVAILABLE while the journal takes nothing (the halt holds all the same). Audited, also where refused.
    """

    arguments = [(b"request", Typed(HaltRequest))]
    response = [(b"outcome", Typed(HaltOutcome))]


class ReleaseHalt(Command):
    """End a halt: a risk officer other than the one who set it; the Risk Server its own. Audited, also where refused.

    Raises FORBIDDEN, NOT_FOUND, CONFLICT for one that has ended, UNAVAILABLE while the journal takes nothing (it holds on).
    """

    arguments = [(b"halt_id", _ID), (b"reason", Text(longest=1000))]
    response = [(b"halt", Typed(Halt))]


class Supervise(Command):
    """The Risk Server's sign of life, each second: without one for 5 s opening orders are refused as RISK_UNSUPERVISED.

    `blind` are trading accounts that Risk cannot watch now, `through` is the greatest id of those that it knows: opening orders
    of the former, and of accounts beyond the latter, are refused at once. Needs the capability `risk.set_state`.
    """

    arguments = [(b"blind", Typed(tuple[int, ...])), (b"through", Integer(minimum=0))]
    response = []
