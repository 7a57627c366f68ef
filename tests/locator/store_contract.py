"""What every store of the Service Locator must do."""

from typing import Any

from attrs import evolve
from zope.interface.verify import verifyObject

from spire.locator.directory import Directory
from spire.locator.interfaces import HashChanged, ILocatorStore
from spire.locator.values import (
    Change,
    DirectoryWrite,
    FailureCount,
    LoginSession,
    Right,
    SigningKey,
    StoredDirectory,
)
from spire.values.audit import AuditEvent, AuditQuery
from spire.values.environment import Environment
from spire.values.orders import Channel
from spire.values.time import Timestamp
from tests.locator.places import ADA, BOOK, NEW, ROOT, TERMS, TESS, TRADERS, UID, account, demo, held, place

SESSION = LoginSession(
    login_session="s1",
    account_id=TESS,
    public_key=bytes(range(32)),
    audiences=("uid_service", "charting_service"),
    opened=Timestamp(1_000),
    last_used=Timestamp(1_000),
    peer="10.0.0.7",
)
KEY = SigningKey(key_id="k1", public_key=bytes(range(32)), created=Timestamp(5))


def write(change: Change, change_id: str = "c1", **more: Any) -> DirectoryWrite:
    """Return a write with plain settings."""
    return DirectoryWrite(change_id=change_id, change=change, **{"next_entry_id": 101, "now": Timestamp(7), **more})


def event(key: str, **more: Any) -> AuditEvent:
    """Return an audit event with an id of its own."""
    given = {
        "event_id": key * 32,
        "time": Timestamp(7),
        "environment": Environment.DEMO,
        "actor": ADA,
        "actor_name": "ada",
        "session": "s1",
        "channel": Channel.AMP,
        "source": "10.0.0.7:1",
        "action": "directory.make",
        "entity": f"directory:{NEW}",
        **more,
    }
    return AuditEvent(**given)


class LocatorStoreContract:
    """A mixin of tests for trial; `self.store` is an empty store."""

    store: ILocatorStore

    async def fill(self, **more: Any) -> StoredDirectory:
        """Write the demo directory into the store, and return what it then holds; `hash` is everybody's password."""
        given = {"passwords": ((TESS, "hash"), (ADA, "hash")), **more}
        self.assertTrue(await self.store.write_directory(write(Change(put=tuple(demo())), "c0", **given), 0))
        return await self.store.load_directory()

    async def open(self, **changes: Any) -> None:
        """Open the login session, with some of its fields changed."""
        self.assertTrue(await self.store.open_session(evolve(SESSION, **changes), "hash", [], None))

    async def test_it_is_a_store(self) -> None:
        """It provides the interface."""
        self.assertTrue(verifyObject(ILocatorStore, self.store))

    async def test_an_empty_store_begins_at_version_0_and_id_1(self) -> None:
        """Nothing is in it."""
        expected = StoredDirectory(version=0, next_entry_id=1, entries=())
        self.assertEqual(await self.store.load_directory(), expected)

    async def test_entries_come_back_as_they_were_written(self) -> None:
        """Parents, grants, capabilities and terms included."""
        special = evolve(
            demo().entry(UID), capabilities=("a", "b"), disabled=True, name="ü_service", grants=(held(ADA, Right.READ),)
        )
        terms = evolve(TERMS, client_identifier="5493001KJTIIGC8Y1R12", aggregation_unit="u", short_marking_exempt=True)
        book = evolve(demo().entry(BOOK), terms=terms)
        change = Change(put=(*(entry for entry in demo() if entry.entry_id not in (UID, BOOK)), special, book))
        await self.store.write_directory(write(change), 0)
        found = await self.store.load_directory()
        self.assertEqual((found.version, found.next_entry_id), (1, 101))
        self.assertEqual(found.entries, tuple(sorted(change.put, key=lambda entry: entry.entry_id)))

    async def test_a_write_replaces_an_entry_whole(self) -> None:
        """Former parents, grants and capabilities are gone."""
        await self.fill()
        changed = evolve(account(TESS, "tessa", ROOT, TRADERS), capabilities=("x",))
        await self.store.write_directory(write(Change(put=(changed,))), 1)
        await self.store.write_directory(write(Change(put=(account(TESS, "tessa", ROOT),)), "c2"), 2)
        found = Directory((await self.store.load_directory()).entries)
        self.assertEqual(found.entry(TESS), account(TESS, "tessa", ROOT))

    async def test_a_removed_entry_is_gone(self) -> None:
        """With its edges and grants."""
        await self.fill()
        await self.store.write_directory(write(Change(put=(place(NEW, "desk", ROOT),))), 1)
        await self.store.write_directory(write(Change(removed=(NEW,)), "c2"), 2)
        self.assertNotIn(NEW, Directory((await self.store.load_directory()).entries))

    async def test_a_stale_version_writes_nothing(self) -> None:
        """Somebody else was first."""
        await self.fill()
        change = Change(put=(place(NEW, "desk", ROOT),))
        self.assertFalse(await self.store.write_directory(write(change), 0))
        self.assertNotIn(NEW, Directory((await self.store.load_directory()).entries))
        self.assertEqual(await self.store.directory_version(), 1)

    async def test_a_write_told_again_is_committed_once(self) -> None:
        """The answer to the first commit was lost."""
        await self.fill()
        again = write(Change(put=(place(NEW, "desk", ROOT),)))
        answers = [await self.store.write_directory(again, 1) for _ in range(2)]
        self.assertEqual((answers, await self.store.directory_version()), ([True, True], 2))

    async def test_entry_ids_never_go_back(self) -> None:
        """A write with a smaller next id keeps the greater one."""
        await self.fill(next_entry_id=500)
        await self.store.write_directory(write(Change(put=(place(NEW, "desk", ROOT),)), next_entry_id=101), 1)
        self.assertEqual((await self.store.load_directory()).next_entry_id, 500)

    async def test_a_credential_is_found_by_name_whatever_its_case_and_by_id(self) -> None:
        """An account without a password has none."""
        await self.fill(passwords=((TESS, "hash"),))
        by_name = (await self.store.login_state("TESS", [])).credential
        self.assertEqual((by_name.account_id, by_name.password_hash, by_name.disabled), (TESS, "hash", False))
        self.assertEqual(await self.store.credential(TESS), by_name)
        self.assertIsNone((await self.store.login_state("ada", [])).credential)
        self.assertIsNone(await self.store.credential(NEW))

    async def test_a_name_with_blanks_around_it_is_another(self) -> None:
        """Nobody can have it."""
        await self.fill()
        states = [await self.store.login_state(name, []) for name in ("tess ", " tess", "tess   ", "tess\t", "tess")]
        self.assertEqual([state.credential is not None for state in states], [False, False, False, False, True])

    async def test_a_renamed_account_logs_in_with_its_new_name(self) -> None:
        """And no more with the former one."""
        await self.fill(passwords=((TESS, "hash"),))
        await self.store.write_directory(write(Change(put=(account(TESS, "Tessa", TRADERS),))), 1)
        self.assertIsNone((await self.store.login_state("tess", [])).credential)
        self.assertIsNotNone((await self.store.login_state("tessa", [])).credential)

    async def test_a_disabled_account_says_so(self) -> None:
        """The credential carries it."""
        await self.fill(passwords=((TESS, "hash"),))
        await self.store.write_directory(write(Change(put=(evolve(demo().entry(TESS), disabled=True),))), 1)
        self.assertTrue((await self.store.credential(TESS)).disabled)

    async def test_times_of_an_account(self) -> None:
        """Made, password changed, logged in."""
        await self.fill()
        await self.store.write_directory(write(Change(), passwords=((TESS, "hash"),), now=Timestamp(9)), 1)
        await self.open()
        times = await self.store.account_times(TESS)
        self.assertEqual((times.registered, times.password_changed, times.last_login), (7, 9, 1_000))
        self.assertIsNone(await self.store.account_times(NEW))

    async def test_failures_are_counted_and_cleared(self) -> None:
        """Two subjects at a time; success clears those it names."""
        subjects = ["account:tess", "peer:10.0.0.7"]
        for now in (10, 20):
            await self.store.record_failure(subjects, Timestamp(now), Timestamp(0))
        await self.fill()
        self.assertTrue(await self.store.open_session(SESSION, "hash", ["account:tess"], None))
        found = (await self.store.login_state("nobody", subjects)).failures
        expected = FailureCount(subject="peer:10.0.0.7", failures=2, last_failed=Timestamp(20))
        self.assertEqual(dict(found), {"peer:10.0.0.7": expected})

    async def test_old_failures_begin_again(self) -> None:
        """The count restarts when the last failure is older than the given time."""
        for now, forgotten in ((10, 0), (20, 0), (30, 25)):
            await self.store.record_failure(["a"], Timestamp(now), Timestamp(forgotten))
        self.assertEqual((await self.store.login_state("x", ["a"])).failures["a"].failures, 1)

    async def test_a_login_session_comes_back_as_it_was_opened(self) -> None:
        """Its key, audiences and delegate included, and a second telling changes nothing."""
        await self.fill(passwords=((TESS, "old"),))
        session = evolve(SESSION, delegate_id=ADA)
        for _ in range(2):
            self.assertTrue(await self.store.open_session(session, "old", [], "new"))
        self.assertEqual(await self.store.find_session("s1"), session)
        self.assertEqual((await self.store.credential(TESS)).password_hash, "new")
        self.assertIsNone(await self.store.find_session("s2"))

    async def test_a_login_with_a_password_that_was_changed_meanwhile_opens_nothing(self) -> None:
        """It leaves no session, and the new hash stays, although the old password's was to be renewed."""
        await self.fill(passwords=((TESS, "old"),))
        await self.store.record_failure(["account:tess"], Timestamp(10), Timestamp(0))
        await self.store.write_directory(write(Change(), passwords=((TESS, "new"),)), 1)
        self.assertFalse(await self.store.open_session(SESSION, "old", ["account:tess"], "old, renewed"))
        self.assertIsNone(await self.store.find_session("s1"))
        state = await self.store.login_state("tess", ["account:tess"])
        self.assertEqual((state.credential.password_hash, len(state.failures)), ("new", 1))
        self.assertIsNone((await self.store.account_times(TESS)).last_login)

    async def test_a_change_of_a_password_that_another_was_faster_with_writes_nothing(self) -> None:
        """The old password that was checked is no longer in force."""
        await self.fill(passwords=((TESS, "old"),))
        first, second = (
            write(Change(), change, passwords=((TESS, change),), former_hash=(TESS, "old")) for change in ("c1", "c2")
        )
        for _ in range(2):
            self.assertTrue(await self.store.write_directory(first, 1))
        with self.assertRaises(HashChanged):
            await self.store.write_directory(second, 2)
        self.assertEqual((await self.store.credential(TESS)).password_hash, "c1")
        self.assertEqual(await self.store.directory_version(), 2)

    async def test_a_login_of_an_account_that_was_disabled_meanwhile_opens_nothing(self) -> None:
        """Nor one through an account that was."""
        await self.fill()
        await self.store.write_directory(write(Change(put=(evolve(demo().entry(ADA), disabled=True),))), 1)
        for session in (evolve(SESSION, account_id=ADA), evolve(SESSION, delegate_id=ADA)):
            self.assertFalse(await self.store.open_session(session, "hash", [], None))
        self.assertIsNone(await self.store.find_session("s1"))

    async def test_open_sessions_and_lately_ended_ones_are_loaded(self) -> None:
        """What ended before the given time is left out."""
        await self.fill()
        for key in ("s1", "s2", "s3"):
            await self.open(login_session=key)
        await self.store.end_sessions({"s1": "idle"}, Timestamp(50))
        await self.store.end_sessions({"s2": "logged out"}, Timestamp(90))
        loaded = await self.store.load_sessions(Timestamp(60))
        self.assertEqual(
            [(s.login_session, s.ended, s.end_reason) for s in loaded], [("s2", 90, "logged out"), ("s3", None, None)]
        )
        ended = await self.store.ended_sessions(Timestamp(50))
        self.assertEqual([s.login_session for s in ended], ["s1", "s2"])

    async def test_the_first_end_of_a_session_counts(self) -> None:
        """Ending it again keeps time and reason."""
        await self.fill()
        await self.open()
        await self.store.end_sessions({"s1": "disabled"}, Timestamp(50))
        await self.store.end_sessions({"s1": "logged out"}, Timestamp(60))
        found = await self.store.find_session("s1")
        self.assertEqual((found.ended, found.end_reason), (50, "disabled"))

    async def test_a_directory_write_ends_the_sessions_of_accounts(self) -> None:
        """Those of the holder and those that it opened for others, but for the one to keep."""
        await self.fill()
        for key, holder, delegate in (("s1", TESS, None), ("s2", ADA, TESS), ("s3", ADA, None), ("s4", TESS, None)):
            await self.open(login_session=key, account_id=holder, delegate_id=delegate)
        ending = write(
            Change(), ended_accounts=(TESS,), end_reason="password changed", kept_session="s4", now=Timestamp(77)
        )
        await self.store.write_directory(ending, 1)
        found = {key: (await self.store.find_session(key)).ended for key in ("s1", "s2", "s3", "s4")}
        self.assertEqual(found, {"s1": 77, "s2": 77, "s3": None, "s4": None})

    async def test_the_last_use_of_a_session_only_grows(self) -> None:
        """A late write of an older time changes nothing."""
        await self.fill()
        await self.open()
        await self.store.touch_sessions({"s1": Timestamp(3_000), "unknown": Timestamp(1)})
        await self.store.touch_sessions({"s1": Timestamp(2_000)})
        self.assertEqual((await self.store.find_session("s1")).last_used, 3_000)

    async def test_old_sessions_and_failures_are_forgotten(self) -> None:
        """Open sessions stay however old they are."""
        await self.fill()
        for key in ("s1", "s2"):
            await self.open(login_session=key)
        await self.store.end_sessions({"s1": "logged out"}, Timestamp(50))
        await self.store.record_failure(["a"], Timestamp(50), Timestamp(0))
        await self.store.forget_before(Timestamp(51), Timestamp(51))
        self.assertIsNone(await self.store.find_session("s1"))
        self.assertIsNotNone(await self.store.find_session("s2"))
        self.assertEqual(dict((await self.store.login_state("x", ["a"])).failures), {})

    async def test_signing_keys_are_kept_and_retired_once(self) -> None:
        """In the order of their making; the first retirement counts."""
        younger = evolve(KEY, key_id="k0", created=Timestamp(6))
        for key in (younger, KEY, KEY):
            await self.store.add_signing_key(key)
        for time in (70, 80):
            await self.store.retire_signing_key("k1", Timestamp(time))
        expected = [evolve(KEY, retires=Timestamp(70)), younger]
        self.assertEqual(await self.store.signing_keys(), expected)

    async def test_a_write_carries_its_audit_events(self) -> None:
        """In its transaction: a stale write leaves none, one told again leaves them once."""
        change = Change(put=(place(NEW, "desk", ROOT),))
        await self.fill()
        self.assertFalse(await self.store.write_directory(write(change, audit=(event("a"),)), 7))
        for _ in range(2):
            self.assertTrue(await self.store.write_directory(write(change, "c2", audit=(event("b"), event("c"))), 1))
        events, after = await self.store.audit(AuditQuery())
        self.assertEqual((events, after), ((event("c"), event("b")), None))

    async def test_a_refused_attempt_is_recorded_once(self) -> None:
        """Told again, it is the same event."""
        refused = event("d", outcome="FORBIDDEN", text="no", actor=None, before='{"ü": 1}', approval_id="x")
        for _ in range(2):
            await self.store.record(refused)
        self.assertEqual((await self.store.audit(AuditQuery()))[0], (refused,))

    async def test_the_audit_log_is_read_in_pages_and_by_what_is_asked(self) -> None:
        """Newest first; by actor, entity, action and time."""
        made = [event(str(n), actor=n % 2, entity=f"account:{n}", time=Timestamp(n)) for n in range(6)]
        for each in made:
            await self.store.record(each)
        first, after = await self.store.audit(AuditQuery(limit=4))
        second, end = await self.store.audit(AuditQuery(limit=4, before=after))
        self.assertEqual((*first, *second), tuple(reversed(made)))
        self.assertIsNone(end)
        found = [
            (await self.store.audit(query))[0]
            for query in (
                AuditQuery(actor=1),
                AuditQuery(entity="account:2"),
                AuditQuery(action="else"),
                AuditQuery(since=Timestamp(2), until=Timestamp(3)),
            )
        ]
        self.assertEqual(found, [(made[5], made[3], made[1]), (made[2],), (), (made[3], made[2])])
