"""Who may see the market data that a decision saw (docs/order-execution.md).

Order Execution sees all market data, and decides with it; what it tells of a decision is market data too. Journal and store keep
everything. Topics have many readers and a long memory, so that what is published is the same for all of them: without market data.
An answer is for one, and shows what he may see at that moment.
"""

from collections.abc import Callable
from typing import Final

from attrs import evolve

from spire.execution import access
from spire.execution.values import Activity, OrderView, Refusal
from spire.locator.directory import Directory
from spire.marketdata.values import RecordType
from spire.values.codes import Venue
from spire.values.report import Report
from spire.values.submission import Submission
from spire.wire.identity import Identity

MARKET_DATA_ALL: Final = "market_data.all"

QUOTE_CROSSED: Final = "QUOTE_CROSSED"
BUYING_POWER: Final = "BUYING_POWER"
PRICED: Final = frozenset({QUOTE_CROSSED, BUYING_POWER})
"""Refusals that tell prices: of a crossed quote `limit` and `observed` are both sides; what is `observed` of buying power was
worked out from the quote, by this order or by one that works still. The limit of buying power is the account's own."""


class Disclosure:
    """Answers for an identity, by the live directory and the grants in force.

    `allows(account, listing venue, type)` evaluates the grants; `venue_of(instrument)` answers its listing venue, None for an
    instrument that is not known any more.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        allows: Callable[[int, Venue, RecordType], bool],
        venue_of: Callable[[int], Venue | None],
    ) -> None:
        self._directory = directory
        self._allows = allows
        self._venue_of = venue_of

    def sees(self, identity: Identity, instrument_id: int) -> bool:
        """Return whether whoever is logged in may see now what decisions about an instrument saw of its market."""
        venue = self._venue_of(instrument_id)
        if venue is not None and self._allows(identity.account_id, venue, RecordType.BBO):
            return True
        return access.has_role(self._directory, identity, access.SEES_ALL) or access.has_capability(
            self._directory, identity, MARKET_DATA_ALL
        )

    def view(self, identity: Identity, view: OrderView) -> OrderView:
        """Return an order as an identity may see it now."""
        return view if self.sees(identity, view.submission.instrument_id) else view_without_market(view)

    def refusal(self, identity: Identity, instrument_id: int, refusal: Refusal) -> Refusal:
        """Return a refusal as an identity may see it now."""
        if refusal.code not in PRICED or self.sees(identity, instrument_id):
            return refusal
        limit, observed = _told(refusal.code, refusal.limit)
        return evolve(refusal, limit=limit, observed=observed)


def activity_without_market(activity: Activity) -> Activity:
    """Return an event as its topic shows it: the event itself where it tells no market data."""
    submission, report = activity.submission, activity.report
    is_priced = report is not None and report.reason in PRICED
    if submission is None and not is_priced:
        return activity
    return evolve(
        activity,
        submission=None if submission is None else submission_without_market(submission),
        report=_report_without_market(report) if report is not None and is_priced else report,
    )


def view_without_market(view: OrderView) -> OrderView:
    """Return an order without the market data that its decision saw."""
    limit, observed = _told(view.reason, view.limit) if view.reason in PRICED else (view.limit, view.observed)
    return evolve(view, submission=submission_without_market(view.submission), limit=limit, observed=observed)


def submission_without_market(submission: Submission) -> Submission:
    """Return a submission without the market data that its decision saw; which quote it was, and how old, stays."""
    return evolve(
        submission,
        decision=evolve(
            submission.decision,
            bid=None,
            bid_size=None,
            ask=None,
            ask_size=None,
            reserved_price=None,
            buying_power_used=None,
        ),
    )


def _report_without_market(report: Report) -> Report:
    limit, observed = _told(report.reason, report.limit)
    return evolve(report, limit=limit, observed=observed)


def _told(code: str | None, limit: str | None) -> tuple[str | None, str | None]:
    """Return what limit and observed value of a priced refusal tell to those who may not see the market."""
    return (limit if code == BUYING_POWER else None), None
