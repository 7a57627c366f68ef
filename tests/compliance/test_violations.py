"""Violations, from Order Execution's activity to those who may see them."""

from typing import Any

from spire.compliance import upstream
from spire.compliance.client import ComplianceClient
from spire.compliance.interfaces import Place
from spire.compliance.values import ViolationQuery
from spire.locator.values import Right
from spire.service.readiness import State
from spire.wire.errors import Forbidden, Invalid, NotFound, Unavailable
from tests.compliance.examples import violation
from tests.compliance.room import ComplianceRoomTestCase, FirmWire, Follower


class ViolationTestCase(ComplianceRoomTestCase):
    """A trader with a book, his manager, and the wire that publishes violations."""

    def setUp(self) -> None:
        """Find the books."""
        super().setUp()
        self.book, self.other = self.id_of("book"), self.id_of("other")

    def publish(self, wire: FirmWire, *numbers: int | None, account: int | None = None) -> None:
        """Publish a violation a number (None: another event), as the firm's next events, and let them arrive."""
        wire.publish(
            *(
                None if number is None else violation(number, account or self.book, order_id=number)
                for number in numbers
            )
        )
        self.advance(0.3)

    def find(self, client: ComplianceClient, path: str, **changes: Any) -> list[int]:
        """Return the order ids of the first page of violations at a directory entry."""
        found, _ = self.result(client.violations(ViolationQuery(entry_id=self.id_of(path), **changes)))
        return [each.order_id for each in found]

    def follow(self, name: str, account: int, *, after: int | None = 0) -> Follower:
        """Follow a trading account's violations as somebody; it ends with the test."""
        follower = Follower()
        subscription = self.client(name).follow_violations(account, follower, after=after)
        self.addCleanup(subscription.close)
        self.advance(0.3)
        return follower


class FollowingTests(ViolationTestCase):
    """Each violation is stored, then visible, once and in order."""

    def test_a_violation_is_seen_live_and_found(self) -> None:
        """With its place among the firm's events, whatever else happens there."""
        wire = self.orders()
        follower = self.follow("manager", self.book)
        self.publish(wire, None, 71, None, 72)
        self.assertEqual(follower.sequences, [2, 4])
        self.assertEqual(follower.violations[0], violation(2, self.book, order_id=71, time=violation(71).time,
                                                          client_order_id="order-71"))  # fmt: skip
        found, following = self.result(self.client("manager").violations(ViolationQuery(entry_id=self.book)))
        self.assertEqual((found, following), (tuple(reversed(follower.violations)), None))

    def test_nothing_is_seen_before_it_is_stored(self) -> None:
        """While the store is away violations wait; then all come, in order, and nothing twice."""
        wire = self.orders()
        follower = self.follow("manager", self.book)
        self.store.is_down = True
        self.publish(wire, 71)
        self.publish(wire, 72)
        self.assertEqual(follower.sequences, [])
        self.assertIn("wait to be stored", self.room.readiness.reasons["violations"])
        self.store.is_down = False
        self.advance(2.0)
        self.assertEqual(follower.sequences, [1, 2])
        self.assertEqual((self.room.readiness.state, self.room.readiness.reasons), (State.READY, {}))

    def test_a_commit_that_is_unknown_is_repeated(self) -> None:
        """What the store took is shown once."""
        wire = self.orders()
        follower = self.follow("manager", self.book)
        self.store.loses_commit = True
        self.publish(wire, 71, 72)
        self.assertEqual(follower.sequences, [])
        self.store.loses_commit = False
        self.advance(2.0)
        self.assertEqual(follower.sequences, [1, 2])
        self.assertEqual(self.find(self.client("manager"), "book"), [72, 71])

    def test_a_restart_resumes_behind_what_is_stored(self) -> None:
        """What happened meanwhile comes, and a follower that stayed sees no gap and no repetition."""
        wire = self.orders()
        follower = self.follow("manager", self.book)
        self.publish(wire, 71, None)
        self.platform.run(self.room.stop())
        self.publish(wire, 72, None, 73)
        self.room = self.serve()
        self.client("manager")
        self.advance(3.0)
        self.publish(wire, 74)
        self.assertEqual(follower.sequences, [1, 3, 5, 6])
        self.assertEqual((follower.resets, follower.errors), ([(1, 0)], []))

    def test_a_violation_that_the_store_has_already_is_not_written_again(self) -> None:
        """After a start the place in the store decides what is asked for."""
        wire = self.orders()
        self.publish(wire, 71, 72)
        self.restart()
        self.advance(3.0)
        self.assertEqual(self.result(self.store.place()), Place(1, 2))
        self.assertEqual(self.find(self.client("manager"), "book"), [72, 71])

    def test_order_execution_that_was_away_is_followed_on(self) -> None:
        """The same server again, with what it kept."""
        wire = self.orders()
        self.publish(wire, 71)
        self.platform.run(wire.service.stop())
        self.advance(1.0)
        self.assertEqual(self.room.readiness.state, State.DEGRADED)
        again = self.orders(events=wire.events)
        self.advance(5.0)
        self.publish(again, 72)
        self.assertEqual(self.find(self.client("manager"), "book"), [72, 71])
        self.assertEqual(self.room.readiness.state, State.READY)

    def test_another_epoch_begins_again_from_its_start(self) -> None:
        """What was recorded of the one before stays; followers are sent to the new one from its beginning."""
        first = self.orders()
        follower = self.follow("manager", self.book)
        self.publish(first, 71, 72)
        self.platform.run(first.service.stop())
        kept = [violation(number, self.book, epoch=2, order_id=80 + number) for number in (1, 2)]
        second = self.orders(epoch=2)
        second.publish(*kept)
        self.advance(5.0)
        self.assertEqual([each.order_id for each in follower.violations], [71, 72, 81, 82])
        self.assertEqual(follower.resets, [(1, 0), (2, 0)])
        self.assertEqual(self.find(self.client("manager"), "book"), [82, 81, 72, 71])
        self.assertEqual(self.result(self.store.place()), Place(2, 2))

    def test_an_earlier_epoch_is_not_followed(self) -> None:
        """It cannot be the server that was followed; readiness says so, and nothing is taken."""
        self.result(self.store.record((), Place(3, 5)))
        self.restart()
        wire = self.orders(epoch=2)
        self.publish(wire, 71)
        self.assertIn("epoch 2", self.room.readiness.reasons["violations"])
        self.assertEqual(self.result(self.store.place()), Place(3, 5))
        self.assertEqual(self.find(self.client("manager"), "book"), [])

    def test_too_much_that_waits_is_left_where_it_is_kept(self) -> None:
        """The stream is left while the store is away, and taken up again without a hole."""
        self.patch(upstream, "MOST_WAITING", 3)
        self.patch(upstream, "MOST_IN_A_TRANSACTION", 2)
        wire = self.orders()
        follower = self.follow("manager", self.book)
        self.store.is_down = True
        for number in range(71, 81):
            self.publish(wire, number)
        self.assertIn("4 events wait", self.room.readiness.reasons["violations"])
        self.store.is_down = False
        self.advance(5.0)
        self.publish(wire, 81)
        self.assertEqual(follower.sequences, list(range(1, 12)))
        self.assertEqual(self.room.readiness.reasons, {})


class TopicTests(ViolationTestCase):
    """Violations of one trading account, live, for whoever may see it."""

    def test_a_follower_from_now_on_sees_what_comes(self) -> None:
        """Nothing of before."""
        wire = self.orders()
        self.publish(wire, 71)
        follower = self.follow("trader", self.book, after=None)
        self.publish(wire, 72)
        self.assertEqual(follower.sequences, [2])

    def test_each_trading_account_has_its_own(self) -> None:
        """The trader of one does not see the other's."""
        wire = self.orders()
        mine, all_of_it = self.follow("trader", self.book), self.follow("manager", self.other)
        self.publish(wire, 71)
        self.publish(wire, 72, account=self.other)
        self.assertEqual((mine.sequences, all_of_it.sequences), ([1], [2]))

    def test_history_is_read_from_the_store(self) -> None:
        """All of it, however much, also where nothing has come for long."""
        made = [violation(number, self.book) for number in range(1, 451)]
        self.result(self.store.record(made, Place(1, 900)))
        self.restart()
        follower = self.follow("officer", self.book)
        self.advance(1.0)
        self.assertEqual(follower.violations, made)

    def test_history_that_cannot_be_read_is_asked_for_again(self) -> None:
        """It comes late rather than never."""
        self.result(self.store.record([violation(number, self.book) for number in (1, 2)], Place(1, 9)))
        self.restart()
        self.store.is_down = True
        follower = self.follow("officer", self.book)
        self.advance(1.0)
        self.assertEqual(follower.sequences, [])
        self.store.is_down = False
        self.advance(30.0)
        self.assertEqual(follower.sequences, [1, 2])

    def test_who_may_not_see_the_account_is_forbidden(self) -> None:
        """A stranger, and the trader of another account."""
        follower = self.follow("stranger", self.book)
        other = self.follow("trader", self.other)
        self.assertEqual([type(each.errors[0]) for each in (follower, other)], [Forbidden, Forbidden])

    def test_an_unknown_trading_account_is_not_found(self) -> None:
        """Nor is a directory one."""
        follower = self.follow("officer", 2**40)
        group = self.follow("officer", self.id_of("demo"))
        self.assertEqual([type(each.errors[0]) for each in (follower, group)], [NotFound, NotFound])

    def test_a_right_that_is_withdrawn_ends_the_stream_at_once(self) -> None:
        """What comes after it is not seen."""
        wire = self.orders()
        directory = self.firm.people["administrator"].directory
        trader = self.id_of("trader")
        follower = self.follow("trader", self.book)
        self.publish(wire, 71)
        self.addCleanup(lambda: self.result(directory.grant(trader, self.book, Right.VIEW | Right.TRADE)))
        self.result(directory.grant(trader, self.book, Right.NONE))
        self.advance(0.1)
        self.publish(wire, 72)
        self.advance(5.0)
        self.assertEqual(follower.sequences, [1])
        self.assertIsInstance(follower.errors[-1], Forbidden)


class QueryTests(ViolationTestCase):
    """Asking for violations of the past."""

    def setUp(self) -> None:
        """Record violations of both books, alternately."""
        super().setUp()
        made = [violation(number, (self.book, self.other)[number % 2], order_id=number) for number in range(1, 7)]
        self.result(self.store.record(made, Place(1, 6)))

    def test_a_manager_sees_those_of_his_group(self) -> None:
        """Asked for by the group, a directory in it, or one account."""
        manager = self.client("manager")
        self.assertEqual(self.find(manager, "demo"), [6, 5, 4, 3, 2, 1])
        self.assertEqual(self.find(manager, "trading_groups/demo/accounts"), [6, 5, 4, 3, 2, 1])
        self.assertEqual(self.find(manager, "other"), [5, 3, 1])

    def test_a_trader_sees_those_of_his_own_account(self) -> None:
        """Also where he asks for the group or for all."""
        trader = self.client("trader")
        self.assertEqual(self.find(trader, "demo"), [6, 4, 2])
        self.assertEqual(self.find(trader, "/"), [6, 4, 2])

    def test_a_risk_officer_sees_all(self) -> None:
        """Also those of an account that the directory does not know any more."""
        self.result(self.store.record((violation(7, 2**40, order_id=7),), Place(1, 7)))
        officer = self.client("officer")
        self.assertEqual(self.find(officer, "/"), [7, 6, 5, 4, 3, 2, 1])
        self.assertEqual(self.find(officer, "demo"), [6, 5, 4, 3, 2, 1])

    def test_who_may_see_none_is_forbidden(self) -> None:
        """An error, not an empty answer."""
        for path in ("demo", "book", "/"):
            with self.subTest(path):
                query = ViolationQuery(entry_id=self.id_of(path))
                self.refusal(self.client("stranger").violations(query), Forbidden)
        query = ViolationQuery(entry_id=self.other)
        self.refusal(self.client("trader").violations(query), Forbidden)

    def test_a_place_without_trading_accounts_is_empty_for_an_officer(self) -> None:
        """He may see whatever would stand there."""
        self.assertEqual(self.find(self.client("officer"), "elsewhere"), [])

    def test_what_is_no_place_of_violations_is_refused(self) -> None:
        """An unknown id, and a person."""
        officer = self.client("officer")
        self.refusal(officer.violations(ViolationQuery(entry_id=2**40)), NotFound)
        error = self.refusal(officer.violations(ViolationQuery(entry_id=self.id_of("trader"))), Invalid)
        self.assertEqual(error.details["argument"], "query.entry_id")

    def test_pages_follow_each_other_to_the_end(self) -> None:
        """Newest first, nothing twice."""
        manager = self.client("manager")
        query: ViolationQuery | None = ViolationQuery(entry_id=self.id_of("demo"), limit=4)
        pages = []
        while query is not None:
            found, query = self.result(manager.violations(query))
            pages.append([each.sequence for each in found])
        self.assertEqual(pages, [[6, 5, 4, 3], [2, 1]])

    def test_a_full_last_page_is_the_last(self) -> None:
        """No empty page follows it."""
        query = ViolationQuery(entry_id=self.id_of("demo"), limit=6)
        _, following = self.result(self.client("manager").violations(query))
        self.assertIsNone(following)

    def test_large_violations_come_in_smaller_pages(self) -> None:
        """An answer has its limit in bytes, too."""
        made = [violation(10 + number, self.book, text="x" * 900) for number in range(150)]
        self.result(self.store.record(made, Place(1, 200)))
        manager = self.client("manager")
        query: ViolationQuery | None = ViolationQuery(entry_id=self.book, limit=200)
        sizes = []
        while query is not None:
            found, query = self.result(manager.violations(query))
            sizes.append(len(found))
        self.assertEqual(sum(sizes), 153)
        self.assertGreater(len(sizes), 2)

    def test_rule_and_time_narrow_the_query(self) -> None:
        """To what broke one rule, in a range of time."""
        manager = self.client("manager")
        self.assertEqual(self.find(manager, "demo", rule_id=2), [])
        self.assertEqual(self.find(manager, "demo", since=violation(2).time, until=violation(3).time), [3, 2])
        backwards = ViolationQuery(entry_id=self.book, since=violation(3).time, until=violation(2).time)
        self.assertEqual(self.refusal(manager.violations(backwards), Invalid).details["argument"], "query.until")

    def test_while_the_store_is_away_it_says_so(self) -> None:
        """UNAVAILABLE, never an empty answer."""
        manager = self.client("manager")
        self.store.is_down = True
        self.refusal(manager.violations(ViolationQuery(entry_id=self.book)), Unavailable)
        self.store.is_down = False
