"""The versions of an order, and the names under which destinations know it, as rows of the database (sans-I/O)."""

from typing import Any

from spire.values.orders import ExecType, VersionState
from spire.values.report import Report
from spire.values.submission import OrderVersion, Submission, VenueOrder, terms_of

VERSION = (
    "order_id", "version", "client_order_id", "orig_client_order_id", "quantity", "limit_price", "stop_price",
    "display_quantity", "minimum_quantity", "time_in_force", "expire_time", "requested_by", "time", "state",
)  # fmt: skip
VENUE_ORDER = ("destination", "venue_client_order_id", "order_id", "version", "venue_order_id")


def first_version(submission: Submission) -> OrderVersion:
    """Return version 1 of an order: its submission's own terms."""
    return OrderVersion(
        order_id=submission.order_id,
        version=1,
        client_order_id=submission.client_order_id,
        terms=terms_of(submission),
        requested_by=submission.entered_by,
        time=submission.accepted,
        state=VersionState.ACCEPTED,
    )


def venue_order_of(report: Report | None) -> VenueOrder | None:
    """Return under which names the destination knows an order, where the report tells."""
    if report is None or report.venue_order_id is None or report.exec_type is not ExecType.NEW:
        return None
    return VenueOrder(
        destination=report.destination,
        venue_client_order_id=str(report.order_id),
        order_id=report.order_id,
        version=report.version,
        venue_order_id=report.venue_order_id,
    )


def version_row(version: OrderVersion) -> tuple[Any, ...]:
    """Return the row of a version."""
    terms = version.terms
    return (
        version.order_id,
        version.version,
        version.client_order_id,
        version.orig_client_order_id,
        terms.quantity,
        terms.limit_price,
        terms.stop_price,
        terms.display_quantity,
        terms.minimum_quantity,
        int(terms.time_in_force),
        terms.expire_time,
        version.requested_by,
        version.time,
        int(version.state),
    )


def venue_row(order: VenueOrder) -> tuple[Any, ...]:
    """Return the row of a destination's name for an order."""
    return (order.destination, order.venue_client_order_id, order.order_id, order.version, order.venue_order_id)
