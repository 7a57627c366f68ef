"""What every Administration store must do."""

from typing import Any

from attrs import evolve
from zope.interface.verify import verifyObject

from spire.administration.interfaces import IAdministrationStore, Stored
from spire.administration.values import (
    BusinessDay,
    EntitlementGrant,
    GrantMode,
    Identity,
    Limits,
    Profile,
    RiskState,
    SubscriberStatus,
    Usage,
)
from spire.marketdata.values import RecordType
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.codes import Currency, Venue
from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.values.risk import RiskMode
from spire.values.time import Timestamp
from tests.administration.room import grant_terms, limit_terms

BOOK, TESS, ADA = 40, 30, 20
LARGEST = 2**63 - 1


def event(number: int, **more: Any) -> AuditEvent:
    """Return an audit event with an id of its own."""
    given = {
        "event_id": f"{number:032x}",
        "time": Timestamp(number),
        "environment": Environment.DEMO,
        "actor": ADA,
        "actor_name": "ada",
        "session": "s1",
        "channel": Channel.AMP,
        "source": "10.0.0.7:1",
        "action": "limits.set",
        "entity": f"trading_account:{BOOK}",
        **more,
    }
    return AuditEvent(**given)


def limits(version: int = 1, **more: Any) -> Limits:
    """Return limits."""
    given = {"trading_account_id": BOOK, "terms": limit_terms(), "reason": "ünicode", "actor": ADA, **more}
    return Limits(version=version, effective_from=Timestamp(version * 100), **given)


def state(version: int = 1, **more: Any) -> RiskState:
    """Return a risk state."""
    given = {"trading_account_id": BOOK, "mode": RiskMode.CLOSE_ORDERS, "reason": "loss", "actor": ADA, **more}
    return RiskState(**{"version": version, "since": Timestamp(version), "business_date": "2013-10-08", **given})


def grant(grant_id: int = 1, **more: Any) -> EntitlementGrant:
    """Return a grant."""
    given = {"terms": grant_terms(TESS), "effective_from": Timestamp(5), "effective_to": None, **more}
    return EntitlementGrant(grant_id=grant_id, granted=Timestamp(5), granted_by=ADA, reason="he pays", **given)


def identity(version: int = 1, **profile: str) -> Identity:
    """Return an identity."""
    return Identity(account_id=TESS, profile=Profile(**profile), version=version, actor=ADA, updated=Timestamp(version))


def day(date: str, opened: int = 1) -> BusinessDay:
    """Return a business day."""
    return BusinessDay(business_date=date, opened=Timestamp(opened), opened_by=ADA)


class AdministrationStoreContract:
    """A mixin of tests for trial; `self.store` is an empty store."""

    store: IAdministrationStore
    count = 0

    async def write(self, *changes: Any) -> list[int | None]:
        """Write changes, each with an event of its own; return the revisions."""
        revisions = []
        for change in changes:
            self.count += 1
            revisions.append(await self.store.write(change, event(self.count)))
        return revisions

    async def test_it_is_a_store(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(IAdministrationStore, self.store))

    async def test_an_empty_store_has_nothing(self) -> None:
        """At revision 0."""
        self.assertEqual((await self.store.load(), await self.store.revision()), (Stored(revision=0), 0))
        self.assertEqual(await self.store.audit(AuditQuery()), ((), None))

    async def test_everything_comes_back_as_it_was_written(self) -> None:
        """Every field, at its bounds."""
        terms = limit_terms(currency=Currency("EUR"), transition_seconds=86_400, allowed_state=RiskMode.CLOSE_ORDERS)
        widest = limits(terms=evolve(terms, buying_power=LARGEST, net_loss=0))
        full_state = state(on_behalf_of=ADA, expiry=Timestamp(LARGEST), mode=RiskMode.DISABLED)
        full_grant = grant(
            LARGEST,
            terms=grant_terms(
                TESS,
                source_venue=Venue("ARCX"),
                record_type=RecordType.BBO,
                mode=GrantMode.NON_DISPLAY,
                subscriber=SubscriberStatus.NON_PROFESSIONAL,
                effective_from=Timestamp(3),
                effective_to=Timestamp(9),
            ),
            effective_to=Timestamp(9),
        )
        open_grant = grant(7, terms=grant_terms(TESS, None))
        person = identity(
            first_name="Tess",
            last_name="Trüeb",
            e_mail="t@x",
            telephone="1",
            address="a\nb",
            city="Bern",
            province="BE",
            country="CH",
            notes="n" * 4_000,
        )
        opened = day("2013-10-08")
        revisions = await self.write(widest, full_state, full_grant, open_grant, person, opened)
        self.assertEqual(revisions, [1, 2, 3, 4, 5, 6])
        self.assertEqual(
            await self.store.load(),
            Stored(
                revision=6,
                limits=(widest,),
                states=(full_state,),
                grants=(open_grant, full_grant),
                identities=(person,),
                days=(opened,),
            ),
        )

    async def test_only_the_next_version_is_written(self) -> None:
        """Of limits, risk states and identities; what does not follow leaves no trace."""
        for make in (limits, state, identity):
            self.assertNotIn(None, await self.write(make(1)))
            before = await self.store.load()
            self.assertEqual(await self.write(make(1), make(3)), [None, None])
            self.assertEqual(await self.store.load(), before)
            self.assertNotIn(None, await self.write(make(2)))
        events, _ = await self.store.audit(AuditQuery())
        self.assertEqual(len(events), 6)

    async def test_a_second_version_does_not_come_first(self) -> None:
        """Without a first one."""
        self.assertEqual(await self.write(limits(2), state(2), identity(2)), [None, None, None])
        self.assertEqual(await self.store.load(), Stored(revision=0))

    async def test_accounts_have_versions_of_their_own(self) -> None:
        """One's change is no conflict for another."""
        other = limits(trading_account_id=BOOK + 1)
        self.assertEqual(await self.write(limits(), other), [1, 2])
        self.assertEqual((await self.store.load()).limits, (limits(), other))

    async def test_the_history_of_limits_says_until_when_each_held(self) -> None:
        """In order, in pages."""
        await self.write(*(limits(version) for version in (1, 2, 3)))
        whole = await self.store.limit_history(BOOK, 0, 10)
        self.assertEqual([(each.version, each.effective_to) for each in whole], [(1, 200), (2, 300), (3, None)])
        self.assertEqual(await self.store.limit_history(BOOK, 1, 1), whole[1:2])
        self.assertEqual(await self.store.limit_history(BOOK + 1, 0, 10), ())

    async def test_every_risk_state_is_kept(self) -> None:
        """In order, in pages; the last one is in force."""
        states = (state(1), state(2, mode=RiskMode.DISABLED), state(3, mode=RiskMode.ACTIVE, on_behalf_of=ADA))
        await self.write(*states)
        self.assertEqual(await self.store.risk_history(BOOK, 0, 10), states)
        self.assertEqual(await self.store.risk_history(BOOK, 1, 1), states[1:2])
        self.assertEqual((await self.store.load()).states, states[2:])

    async def test_a_grant_is_made_once(self) -> None:
        """Its id is taken then."""
        self.assertEqual(await self.write(grant(), grant()), [1, None])

    async def test_a_grant_is_revoked_once(self) -> None:
        """The first revocation stays; what was never granted is not revoked."""
        revoked = evolve(grant(), revoked=Timestamp(9), revoked_by=ADA, revoke_reason="left")
        self.assertEqual(await self.write(revoked), [None])
        again = evolve(revoked, revoked=Timestamp(10), revoke_reason="again")
        self.assertEqual(await self.write(grant(), revoked, again), [1, 2, None])
        self.assertEqual((await self.store.load()).grants, ())
        self.assertEqual((await self.store.grant(1), await self.store.grant(2)), (revoked, None))

    async def test_grants_of_an_account_are_read_in_pages(self) -> None:
        """By id, those of others left out."""
        mine = [grant(number) for number in (1, 2, 4)]
        await self.write(*mine, grant(3, terms=grant_terms(ADA)))
        self.assertEqual(await self.store.grants_of(TESS, 0, 2), tuple(mine[:2]))
        self.assertEqual(await self.store.grants_of(TESS, 2, 2), (mine[2],))

    async def test_a_later_day_closes_those_before(self) -> None:
        """An earlier or the same one is not opened."""
        await self.write(day("2013-10-07", 1), day("2013-10-08", 5))
        self.assertEqual(await self.write(day("2013-10-08", 6), day("2013-10-04", 7)), [None, None])
        days = (await self.store.load()).days
        expected = (evolve(day("2013-10-07", 1), closed=Timestamp(5)), day("2013-10-08", 5))
        self.assertEqual(days, expected)

    async def test_a_write_told_again_changes_nothing_more(self) -> None:
        """The answer to the first commit was lost."""
        answers = [await self.store.write(limits(), event(1)) for _ in range(2)]
        self.assertEqual((answers, await self.store.revision()), ([1, 1], 1))
        self.assertEqual((await self.store.audit(AuditQuery()))[0], (event(1),))

    async def test_use_is_recorded_once(self) -> None:
        """By date, account, venue and type."""
        use = Usage(date="2013-10-08", account_id=TESS, listing_venue=Venue("XNYS"), record_type=RecordType.BBO)
        trade = evolve(use, record_type=RecordType.TRADE)
        for usage in ((use, trade), (use,), (), (evolve(use, date="2013-10-09"),)):
            await self.store.record_usage(usage)
        self.assertEqual(await self.store.usage("2013-10-08"), (trade, use))

    async def test_a_refused_attempt_is_recorded_once_and_makes_no_revision(self) -> None:
        """Every field survives."""
        refused = event(
            9,
            outcome="FORBIDDEN",
            text="ü",
            before="[1]",
            after="[2]",
            reason="r",
            approval_id="a",
            correlation_id="c",
            on_behalf_of=TESS,
            entity_version=3,
            client_version="v",
            channel=Channel.PORTAL,
            actor=None,
        )
        for _ in range(2):
            await self.store.record(refused)
        self.assertEqual(await self.store.audit(AuditQuery()), ((refused,), None))
        self.assertEqual(await self.store.revision(), 0)

    async def test_an_actor_is_found_by_what_was_done_on_his_behalf(self) -> None:
        """As by what he did himself; others' events are not his."""
        for number, who in enumerate(((ADA, None), (BOOK, TESS), (TESS, None)), 1):
            await self.store.record(event(number, actor=who[0], on_behalf_of=who[1]))
        found, _ = await self.store.audit(AuditQuery(actor=TESS))
        self.assertEqual([(each.actor, each.on_behalf_of) for each in found], [(TESS, None), (BOOK, TESS)])
