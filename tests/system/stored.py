"""What MySQL holds of orders, read beside the platform, and the same of an account's activity, to be compared."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

from attrs import field, frozen

from spire.database.private import PrivateMariaDB
from spire.execution.values import Activity

Row = tuple[Any, ...]

SUBMISSIONS = """
    SELECT epoch, activity_sequence, order_id, client_order_id, instrument_id, side, quantity, limit_price
    FROM execution_submissions WHERE trading_account_id = %s ORDER BY epoch, activity_sequence
"""
REPORTS = """
    SELECT epoch, activity_sequence, report_id, order_id, report_sequence, exec_type, status, exec_id,
        last_quantity, last_price, cumulative, leaves, quote_sequence, reason
    FROM execution_reports WHERE trading_account_id = %s ORDER BY epoch, activity_sequence
"""
POSTINGS = """
    SELECT epoch, activity_sequence, posting_id, report_id, instrument_id, quantity, amount
    FROM execution_postings WHERE trading_account_id = %s ORDER BY epoch, activity_sequence
"""
ORDERS = """
    SELECT order_id, status, cumulative, leaves, reports
    FROM execution_orders WHERE trading_account_id = %s ORDER BY order_id
"""
POSITIONS = """
    SELECT instrument_id, quantity, cost, realised, fees
    FROM execution_positions WHERE trading_account_id = %s ORDER BY instrument_id
"""
VIOLATIONS = """
    SELECT epoch, activity_sequence, order_id
    FROM {room}_violations WHERE trading_account_id = %s ORDER BY epoch, activity_sequence
"""
REACHED = "SELECT activity_sequence FROM execution_accounts WHERE trading_account_id = %s"


@frozen(kw_only=True)
class Facts:
    """The rows of one trading account's activity in order, each with epoch and sequence first."""

    submissions: list[Row] = field(factory=list)
    reports: list[Row] = field(factory=list)
    postings: list[Row] = field(factory=list)


class Stored:
    """The tables of Order Execution for one trading account; every method blocks."""

    def __init__(self, database: PrivateMariaDB, schema: str, trading_account_id: int) -> None:
        self._database = database
        self._schema = schema
        self._trading_account_id = trading_account_id

    def facts(self) -> Facts:
        """Return everything that ever became true."""
        return Facts(submissions=self._rows(SUBMISSIONS), reports=self._rows(REPORTS), postings=self._rows(POSTINGS))

    def orders(self) -> list[Row]:
        """Return how every order stands: id, status, cumulative, leaves, reports."""
        return self._rows(ORDERS)

    def positions(self) -> list[Row]:
        """Return the positions: instrument, quantity, cost, realised, fees."""
        return self._rows(POSITIONS)

    def violations(self, room: str) -> list[Row]:
        """Return the violations that a room keeps: epoch, sequence, order."""
        return self._rows(VIOLATIONS.format(room=room))

    def reached(self) -> int:
        """Return the last sequence of the activity that is stored."""
        rows = self._rows(REACHED)
        return int(rows[0][0]) if rows else 0

    def _rows(self, statement: str) -> list[Row]:
        with closing(self._database.connect()) as connection, connection.cursor() as cursor:
            connection.select_db(self._schema)
            cursor.execute(statement, (self._trading_account_id,))
            return list(cursor.fetchall())


def facts_of(events: Iterable[Activity]) -> Facts:
    """Return the rows that an account's activity should have left."""
    facts = Facts()
    for event in events:
        at = (event.epoch, event.sequence)
        if event.submission is not None:
            it = event.submission
            terms = (it.instrument_id, int(it.side), it.quantity, it.limit_price)
            facts.submissions.append((*at, it.order_id, it.client_order_id, *terms))
        if event.report is not None:
            what = event.report
            fill = (what.last_quantity, what.last_price, what.cumulative, what.leaves, what.quote_sequence, what.reason)
            named = (what.report_id, what.order_id, what.sequence, int(what.exec_type), int(what.status), what.exec_id)
            facts.reports.append((*at, *named, *fill))
        if event.posting is not None:
            entry = event.posting
            moved = (entry.report_id, entry.instrument_id, entry.quantity, entry.amount)
            facts.postings.append((*at, entry.posting_id, *moved))
    return facts


def repeated(values: Sequence[Any]) -> list[Any]:
    """Return what stands more than once."""
    seen: set[Any] = set()
    return [value for value in values if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
