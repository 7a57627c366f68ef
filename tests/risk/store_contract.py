"""What every Risk store must do."""

from typing import Any

from attrs import evolve
from zope.interface.verify import verifyObject

from spire.accounting.position import Position
from spire.risk.interfaces import IRiskStore
from spire.risk.kept import Baseline, Kept, KeptPosition, Opened, Place, RiskEvent, Saved
from spire.risk.origin import BaselinePosition, BaselineTotal, Origin
from spire.risk.values import BaselineKind
from spire.values.amounts import Money, Quantity
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.codes import Currency
from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.values.risk import RiskMode
from spire.values.time import Timestamp
from tests.values.examples import dollars, shares

CAD, USD = Currency("CAD"), Currency("USD")
NOW = Timestamp(1_381_239_000_000_000_000)
ADA, BEN = 7, 8


def place(account: int = ADA, sequence: int = 5, epoch: int = 1) -> Place:
    """Return a place."""
    return Place(trading_account_id=account, epoch=epoch, sequence=sequence)


def position(account: int = ADA, instrument: int = 42, count: int = 100) -> KeptPosition:
    """Return a position with every number set."""
    value = Position(currency=USD, quantity=shares(count), cost=Money(1_400_000_001), realised=Money(-7), fees=Money(3))
    return KeptPosition(trading_account_id=account, instrument_id=instrument, position=value)


def baseline(account: int = ADA, number: int = 1, **changes: Any) -> Baseline:
    """Return a record of two instruments, one without a mark."""
    fields: dict[str, Any] = {
        "trading_account_id": account,
        "number": number,
        "kind": BaselineKind.START_OF_DAY,
        "business_date": "2013-10-08",
        "taken": NOW,
        "currency": USD,
        "day_realised": Money(-5_000_000),
        "day_fees": Money(1),
        "day_profit": Money(-6_000_000),
        "origin": Origin(
            totals=tuple(
                BaselineTotal(currency=currency, realised=Money(-1), fees=Money(2)) for currency in (CAD, USD)
            ),
            positions=tuple(
                BaselinePosition(
                    instrument_id=instrument,
                    currency=USD,
                    quantity=Quantity(-3_000_000),
                    cost=Money(-42),
                    mark=mark,
                )
                for instrument, mark in ((42, dollars(14)), (43, None))
            ),
        ),
    }
    return Baseline(**(fields | changes))


def event(version: int = 1, account: int = ADA, **changes: Any) -> RiskEvent:
    """Return a state that was written."""
    fields: dict[str, Any] = {
        "trading_account_id": account,
        "version": version,
        "time": NOW,
        "business_date": "2013-10-08",
        "before": RiskMode.ACTIVE,
        "after": RiskMode.CLOSE_ORDERS,
        "reason": "it lost €",
        "expiry": Timestamp(NOW + 1),
        "currency": USD,
        "day_realised": Money(-1),
        "day_fees": Money(2),
        "day_profit": Money(-3),
        "net_loss": None,
    }
    return RiskEvent(**(fields | changes))


def opened(account: int = ADA, **changes: Any) -> Opened:
    """Return an opened day."""
    fields: dict[str, Any] = {
        "trading_account_id": account,
        "business_date": "2013-10-08",
        "outcome": "OPENED",
        "reason": "",
        "is_complete": False,
    }
    return Opened(**(fields | changes))


def audited(number: int) -> AuditEvent:
    """Return an audit event."""
    return AuditEvent(
        event_id=f"{number:032x}",
        time=NOW,
        environment=Environment.DEMO,
        actor=3,
        actor_name="ada",
        session="s1",
        channel=Channel.AMP,
        source="127.0.0.1:1",
        action="account.release",
        entity="trading_account:7",
    )


class RiskStoreContract:
    """A mixin of tests; `self.store` is an empty store."""

    store: IRiskStore

    async def test_it_is_a_store(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IRiskStore, self.store))

    async def test_an_empty_store_keeps_nothing(self) -> None:
        """A first start finds no place."""
        self.assertEqual(await self.store.load(), Kept())

    async def test_places_and_positions_come_back(self) -> None:
        """Of all accounts, by id."""
        saved = Saved(places=(place(), place(BEN)), positions=(position(), position(instrument=43), position(BEN)))
        await self.store.save(saved)
        kept = await self.store.load()
        self.assertEqual((kept.places, kept.positions), (saved.places, saved.positions))

    async def test_what_did_not_change_is_not_written_again(self) -> None:
        """A later save names only what moved; the rest stays."""
        await self.store.save(Saved(places=(place(),), positions=(position(), position(instrument=43))))
        await self.store.save(Saved(places=(place(sequence=9),), positions=(position(count=50),)))
        kept = await self.store.load()
        self.assertEqual(kept.places, (place(sequence=9),))
        self.assertEqual(kept.positions, (position(count=50), position(instrument=43)))

    async def test_a_ledger_that_begins_anew_loses_its_positions(self) -> None:
        """And nobody else does."""
        await self.store.save(Saved(places=(place(), place(BEN)), positions=(position(), position(BEN))))
        again = place(sequence=1, epoch=2)
        await self.store.save(Saved(places=(again,), positions=(position(instrument=43),), anew=(ADA,)))
        kept = await self.store.load()
        self.assertEqual(kept.places, (again, place(BEN)))
        self.assertEqual(kept.positions, (position(instrument=43), position(BEN)))

    async def test_events_are_kept_once(self) -> None:
        """A state's version is written once, whatever came of the answer."""
        await self.store.save(Saved(events=(event(), event(2, after=RiskMode.DISABLED, expiry=None))))
        await self.store.save(Saved(events=(event(reason="again"), event(3, net_loss=Money(9)), event(1, BEN))))
        found = await self.store.events(ADA, 0, 10)
        expected = (event(), event(2, after=RiskMode.DISABLED, expiry=None), event(3, net_loss=Money(9)))
        self.assertEqual(found, expected)
        self.assertEqual(await self.store.events(ADA, 1, 1), expected[1:2])

    async def test_baselines_come_back_whole(self) -> None:
        """At the start the last of each account; all of them when asked."""
        second = baseline(number=2, kind=BaselineKind.RELEASE, origin=Origin())
        await self.store.record((baseline(), baseline(BEN)), (), ())
        await self.store.record((second,), (), ())
        self.assertEqual((await self.store.load()).baselines, (second, baseline(BEN)))
        self.assertEqual(await self.store.baselines(ADA, 0, 10), (baseline(), second))
        self.assertEqual(await self.store.baselines(ADA, 1, 10), (second,))

    async def test_a_baseline_of_the_same_number_replaces_it(self) -> None:
        """The answer to a first write was lost, and the account has moved since."""
        await self.store.record((baseline(),), (), ())
        first = baseline().origin
        other = baseline(day_profit=Money(1), origin=Origin(totals=first.totals[1:], positions=first.positions[:1]))
        await self.store.record((other,), (), ())
        self.assertEqual(await self.store.baselines(ADA, 0, 10), (other,))

    async def test_the_last_day_of_each_account_comes_back(self) -> None:
        """Complete or not, and why it was kept."""
        kept = opened(BEN, outcome="KEPT", reason="halt 3", is_complete=True)
        await self.store.record((), (opened(), kept), ())
        await self.store.record((), (evolve(opened(), is_complete=True),), ())
        self.assertEqual((await self.store.load()).opened, (evolve(opened(), is_complete=True), kept))

    async def test_audit_events_are_read_newest_first(self) -> None:
        """In pages."""
        await self.store.record((), (), (audited(1), audited(2)))
        await self.store.record((), (), (audited(3),))
        first, before = await self.store.audit(AuditQuery(limit=2))
        self.assertEqual(first, (audited(3), audited(2)))
        last, _ = await self.store.audit(AuditQuery(limit=2, before=before))
        self.assertEqual(last, (audited(1),))
