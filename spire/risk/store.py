"""The Risk store in MySQL."""

from collections.abc import Sequence
from typing import Any, Final

from zope.interface import implementer

from spire.accounting.position import Position
from spire.database import audit
from spire.database.database import Database
from spire.database.errors import CommitUnknown, NotUnique, StoreDown
from spire.database.transaction import Transaction
from spire.risk.interfaces import IRiskStore
from spire.risk.kept import Baseline, Kept, KeptPosition, Opened, Place, RiskEvent, Saved
from spire.risk.origin import BaselinePosition, BaselineTotal, Origin
from spire.risk.values import BaselineKind
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.codes import Currency
from spire.values.risk import RiskMode
from spire.values.time import Timestamp

PAGE: Final = 1_000
BASELINES: Final = 100
"""Baselines that are read at once, each with what was held."""
AUDIT_TABLE: Final = "risk_audit_events"

SELECT_PLACES = """
    SELECT trading_account_id, epoch, sequence
    FROM risk_places
    WHERE trading_account_id > %s
    ORDER BY trading_account_id
    LIMIT %s
"""
SELECT_POSITIONS = """
    SELECT trading_account_id, instrument_id, currency, quantity, cost, realised, fees
    FROM risk_positions
    WHERE (trading_account_id, instrument_id) > (%s, %s)
    ORDER BY trading_account_id, instrument_id
    LIMIT %s
"""
SELECT_LAST_BASELINES = """
    SELECT head.trading_account_id, head.number, head.kind, head.business_date, head.taken, head.currency,
           head.day_realised, head.day_fees, head.day_profit
    FROM risk_baselines AS head
    JOIN (SELECT trading_account_id, MAX(number) AS number FROM risk_baselines GROUP BY trading_account_id) AS newest
        ON newest.trading_account_id = head.trading_account_id AND newest.number = head.number
    WHERE head.trading_account_id > %s
    ORDER BY head.trading_account_id
    LIMIT %s
"""
SELECT_BASELINES = """
    SELECT trading_account_id, number, kind, business_date, taken, currency, day_realised, day_fees, day_profit
    FROM risk_baselines
    WHERE trading_account_id = %s AND number > %s
    ORDER BY number
    LIMIT %s
"""
SELECT_BASELINE_TOTALS = """
    SELECT trading_account_id, number, currency, realised, fees
    FROM risk_baseline_totals
    WHERE {chosen}
    ORDER BY trading_account_id, number, currency
"""
SELECT_BASELINE_POSITIONS = """
    SELECT trading_account_id, number, instrument_id, currency, quantity, cost, mark
    FROM risk_baseline_positions
    WHERE {chosen}
    ORDER BY trading_account_id, number, instrument_id
"""
SELECT_OPENED = """
    SELECT trading_account_id, business_date, outcome, reason, is_complete
    FROM risk_opened
    WHERE trading_account_id > %s
    ORDER BY trading_account_id
    LIMIT %s
"""
SELECT_EVENTS = """
    SELECT trading_account_id, version, time, business_date, mode_before, mode_after, reason, expiry, currency,
           day_realised, day_fees, day_profit, net_loss
    FROM risk_events
    WHERE trading_account_id = %s AND version > %s
    ORDER BY version
    LIMIT %s
"""

REPLACE_PLACE = "REPLACE INTO risk_places (trading_account_id, epoch, sequence) VALUES (%s, %s, %s)"
DELETE_POSITIONS = "DELETE FROM risk_positions WHERE trading_account_id = %s"
REPLACE_POSITION = """
    REPLACE INTO risk_positions (trading_account_id, instrument_id, currency, quantity, cost, realised, fees)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
REPLACE_BASELINE = """
    REPLACE INTO risk_baselines (trading_account_id, number, kind, business_date, taken, currency, day_realised,
        day_fees, day_profit)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
DELETE_BASELINE_TOTALS = "DELETE FROM risk_baseline_totals WHERE trading_account_id = %s AND number = %s"
DELETE_BASELINE_POSITIONS = "DELETE FROM risk_baseline_positions WHERE trading_account_id = %s AND number = %s"
INSERT_BASELINE_TOTAL = """
    INSERT INTO risk_baseline_totals (trading_account_id, number, currency, realised, fees)
    VALUES (%s, %s, %s, %s, %s)
"""
INSERT_BASELINE_POSITION = """
    INSERT INTO risk_baseline_positions (trading_account_id, number, instrument_id, currency, quantity, cost, mark)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
REPLACE_OPENED = """
    REPLACE INTO risk_opened (trading_account_id, business_date, outcome, reason, is_complete)
    VALUES (%s, %s, %s, %s, %s)
"""
# A state's version is written once: the same event again, after a commit whose answer was lost, changes nothing.
INSERT_EVENT = """
    INSERT IGNORE INTO risk_events (trading_account_id, version, time, business_date, mode_before, mode_after, reason,
        expiry, currency, day_realised, day_fees, day_profit, net_loss)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


@implementer(IRiskStore)
class RiskStore:
    """Keeps places, positions, baselines, opened days, events and the audit log in MySQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Kept:
        """Return all that a server needs at its start, read in pages."""
        return Kept(
            places=tuple(await self._pages("risk.places", _places, (0,))),
            positions=tuple(await self._pages("risk.positions", _positions, (0, 0))),
            baselines=tuple(await self._pages("risk.last_baselines", _last_baselines, (0,), BASELINES)),
            opened=tuple(await self._pages("risk.opened", _opened, (0,))),
        )

    async def save(self, saved: Saved) -> None:
        """Write what changed since the last time."""
        await self._database.run("risk.save", _save, saved)

    async def record(
        self, baselines: Sequence[Baseline], opened: Sequence[Opened], audit: Sequence[AuditEvent]
    ) -> None:
        """Write baselines, opened days and audit events, again where the commit may or may not have happened.

        Rows replace themselves; an event that is there already the second time shows that the first time was enough.
        Raises CommitUnknown where the database stays away, so that it is still not known.
        """
        rows = (tuple(baselines), tuple(opened), tuple(audit))
        try:
            await self._database.run("risk.record", _record, *rows)
        except CommitUnknown as unknown:
            try:
                await self._database.run("risk.record", _record, *rows)
            except NotUnique:
                return
            except StoreDown as error:
                raise unknown from error

    async def baselines(self, trading_account_id: int, after: int, limit: int) -> tuple[Baseline, ...]:
        """Return baselines of an account, oldest first."""
        return await self._database.run("risk.baselines", _baselines, trading_account_id, after, limit)

    async def events(self, trading_account_id: int, after: int, limit: int) -> tuple[RiskEvent, ...]:
        """Return events of an account, oldest first."""
        return await self._database.run("risk.events", _events, trading_account_id, after, limit)

    async def audit(self, query: AuditQuery) -> audit.Page:
        """Return a page of the audit log."""
        return await self._database.run("risk.audit", audit.read, AUDIT_TABLE, query)

    async def _pages(self, name: str, read: Any, after: tuple[int, ...], size: int = PAGE) -> list[Any]:
        found: list[Any] = []
        while True:
            page, after = await self._database.run(name, read, after, size)
            found += page
            if len(page) < size:
                return found


def _places(transaction: Transaction, after: tuple[int], size: int) -> tuple[list[Place], tuple[int, ...]]:
    rows = transaction.fetch(SELECT_PLACES, (*after, size))
    found = [Place(trading_account_id=row[0], epoch=row[1], sequence=row[2]) for row in rows]
    return found, after if not rows else (rows[-1][0],)


def _positions(
    transaction: Transaction, after: tuple[int, int], size: int
) -> tuple[list[KeptPosition], tuple[int, ...]]:
    rows = transaction.fetch(SELECT_POSITIONS, (*after, size))
    found = [
        KeptPosition(
            trading_account_id=account,
            instrument_id=instrument,
            position=Position(currency=Currency(currency), quantity=quantity, cost=cost, realised=realised, fees=fees),
        )
        for account, instrument, currency, quantity, cost, realised, fees in rows
    ]
    return found, after if not rows else (rows[-1][0], rows[-1][1])


def _last_baselines(transaction: Transaction, after: tuple[int], size: int) -> tuple[list[Baseline], tuple[int, ...]]:
    rows = transaction.fetch(SELECT_LAST_BASELINES, (*after, size))
    return _whole(transaction, rows), after if not rows else (rows[-1][0],)


def _opened(transaction: Transaction, after: tuple[int], size: int) -> tuple[list[Opened], tuple[int, ...]]:
    rows = transaction.fetch(SELECT_OPENED, (*after, size))
    found = [
        Opened(
            trading_account_id=account,
            business_date=business_date,
            outcome=outcome,
            reason=reason,
            is_complete=bool(is_complete),
        )
        for account, business_date, outcome, reason, is_complete in rows
    ]
    return found, after if not rows else (rows[-1][0],)


def _save(transaction: Transaction, saved: Saved) -> None:
    for account in saved.anew:
        transaction.execute(DELETE_POSITIONS, (account,))
    transaction.executemany(REPLACE_PLACE, [(row.trading_account_id, row.epoch, row.sequence) for row in saved.places])
    transaction.executemany(
        REPLACE_POSITION,
        [
            (
                row.trading_account_id,
                row.instrument_id,
                row.position.currency,
                row.position.quantity,
                row.position.cost,
                row.position.realised,
                row.position.fees,
            )
            for row in saved.positions
        ],
    )
    for event in saved.events:
        transaction.execute(INSERT_EVENT, _event_row(event))


def _record(
    transaction: Transaction,
    baselines: tuple[Baseline, ...],
    opened: tuple[Opened, ...],
    events: tuple[AuditEvent, ...],
) -> None:
    for baseline in baselines:
        place = (baseline.trading_account_id, baseline.number)
        transaction.execute(REPLACE_BASELINE, _baseline_row(baseline))
        transaction.execute(DELETE_BASELINE_TOTALS, place)
        transaction.execute(DELETE_BASELINE_POSITIONS, place)
        totals = [(*place, each.currency, each.realised, each.fees) for each in baseline.origin.totals]
        transaction.executemany(INSERT_BASELINE_TOTAL, totals)
        positions = [(*place, *_position_row(each)) for each in baseline.origin.positions]
        transaction.executemany(INSERT_BASELINE_POSITION, positions)
    transaction.executemany(
        REPLACE_OPENED,
        [(row.trading_account_id, row.business_date, row.outcome, row.reason, row.is_complete) for row in opened],
    )
    audit.write(transaction, AUDIT_TABLE, events)


def _baselines(transaction: Transaction, account: int, after: int, limit: int) -> tuple[Baseline, ...]:
    rows = transaction.fetch(SELECT_BASELINES, (account, after, limit))
    return tuple(_whole(transaction, rows))


def _events(transaction: Transaction, account: int, after: int, limit: int) -> tuple[RiskEvent, ...]:
    return tuple(_event(row) for row in transaction.fetch(SELECT_EVENTS, (account, after, limit)))


def _whole(transaction: Transaction, rows: Sequence[tuple[Any, ...]]) -> list[Baseline]:
    """Return the baselines of these rows, each with what belongs to it."""
    totals: dict[tuple[int, int], list[BaselineTotal]] = {}
    positions: dict[tuple[int, int], list[BaselinePosition]] = {}
    if rows:
        chosen = " OR ".join(["(trading_account_id = %s AND number = %s)"] * len(rows))
        places = [value for row in rows for value in row[:2]]
        for account, number, currency, realised, fees in transaction.fetch(
            SELECT_BASELINE_TOTALS.format(chosen=chosen), places
        ):
            total = BaselineTotal(currency=Currency(currency), realised=realised, fees=fees)
            totals.setdefault((account, number), []).append(total)
        for account, number, instrument, currency, quantity, cost, mark in transaction.fetch(
            SELECT_BASELINE_POSITIONS.format(chosen=chosen), places
        ):
            held = BaselinePosition(
                instrument_id=instrument, currency=Currency(currency), quantity=quantity, cost=cost, mark=mark
            )
            positions.setdefault((account, number), []).append(held)
    return [
        _baseline(row, Origin(totals=tuple(totals.get(row[:2], ())), positions=tuple(positions.get(row[:2], ()))))
        for row in rows
    ]


def _baseline(row: tuple[Any, ...], origin: Origin) -> Baseline:
    account, number, kind, business_date, taken, currency, day_realised, day_fees, day_profit = row
    return Baseline(
        trading_account_id=account,
        number=number,
        kind=BaselineKind(kind),
        business_date=business_date,
        taken=Timestamp(taken),
        currency=Currency(currency),
        day_realised=day_realised,
        day_fees=day_fees,
        day_profit=day_profit,
        origin=origin,
    )


def _baseline_row(baseline: Baseline) -> tuple[Any, ...]:
    return (
        baseline.trading_account_id,
        baseline.number,
        int(baseline.kind),
        baseline.business_date,
        baseline.taken,
        baseline.currency,
        baseline.day_realised,
        baseline.day_fees,
        baseline.day_profit,
    )


def _position_row(position: BaselinePosition) -> tuple[Any, ...]:
    return (position.instrument_id, position.currency, position.quantity, position.cost, position.mark)


def _event_row(event: RiskEvent) -> tuple[Any, ...]:
    return (
        event.trading_account_id,
        event.version,
        event.time,
        event.business_date,
        int(event.before),
        int(event.after),
        event.reason,
        event.expiry,
        event.currency,
        event.day_realised,
        event.day_fees,
        event.day_profit,
        event.net_loss,
    )


def _event(row: tuple[Any, ...]) -> RiskEvent:
    account, version, time, business_date, before, after, reason, expiry, currency, *figures = row
    day_realised, day_fees, day_profit, net_loss = figures
    return RiskEvent(
        trading_account_id=account,
        version=version,
        time=Timestamp(time),
        business_date=business_date,
        before=RiskMode(before),
        after=RiskMode(after),
        reason=reason,
        expiry=None if expiry is None else Timestamp(expiry),
        currency=Currency(currency),
        day_realised=day_realised,
        day_fees=day_fees,
        day_profit=day_profit,
        net_loss=net_loss,
    )
