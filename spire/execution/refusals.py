"""Refusals as the errors that callers see (sans-I/O)."""

from typing import Final

from spire.execution.values import OrderView, Refusal
from spire.values.orders import Status
from spire.wire.errors import COMMON, Refused, SpireError, error_of

STORE_DOWN: Final = "STORE_DOWN"
NOT_ROUTED: Final = "NOT_ROUTED"


def error_for(refusal: Refusal, order_id: int | None = None) -> SpireError:
    """Return the error that tells a refusal: code, rule, limit and observed value, and the order where one was recorded."""
    details = {
        name: value
        for name, value in (
            ("rule", refusal.rule),
            ("limit", refusal.limit),
            ("observed", refusal.observed),
            ("order_id", None if order_id is None else str(order_id)),
        )
        if value is not None
    }
    if refusal.code == "INVALID" and refusal.rule is not None:
        details["argument"] = refusal.rule
    if refusal.code in COMMON:
        return error_of(refusal.code, refusal.text, details)
    return Refused(refusal.code, refusal.text, **details)


def journal_down() -> SpireError:
    """Return the error of an order that could not be made durable and was not taken."""
    return Refused(STORE_DOWN, "The journal cannot be written: the order was not taken; try again later.")


def rejection_of(view: OrderView) -> SpireError | None:
    """Return the error that an order's rejection stands for; None for an order that was not rejected."""
    if view.status is not Status.REJECTED:
        return None
    refusal = Refusal(
        code=view.reason or "REJECTED",
        text=view.text or "The order was rejected.",
        rule=view.rule,
        limit=view.limit,
        observed=view.observed,
    )
    return error_for(refusal, view.order_id)
