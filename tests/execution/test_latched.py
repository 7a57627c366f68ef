"""Halts through every end of the server, on a full disk, and at the host's own socket."""

from typing import Any
from unittest.mock import patch

from spire.database.journal import JournalFull
from spire.execution.recovery import replay
from spire.values.audit import DONE, AuditEvent, AuditQuery
from spire.values.orders import Channel, Side
from spire.values.risk import HaltMode
from spire.wire.errors import Forbidden, Invalid, NotFound, SpireError, Unavailable, Unsupported
from tests.execution.halting import HaltTestCase


class LatchTests(HaltTestCase):
    """Halts outlive every end of the server."""

    def test_it_survives_a_crash(self) -> None:
        """In force before the port opens; another officer may release it, and its id is not given out again."""
        halt = self.set_halt(self.one).halt
        self.advance(0.5)
        self.restart()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(self.in_force(), [halt])
        self.release(self.other, halt)
        self.restart()
        self.submit(Side.BUY, 1, 13)
        self.assertEqual(self.set_halt(self.one).halt.halt_id, 2)

    def test_it_survives_in_the_journal_alone(self) -> None:
        """The store never heard of it; afterwards it has."""
        self.store.is_down = True
        halt = self.set_halt(self.one).halt
        self.crash()
        self.assertEqual(self.result(self.store.halts()).in_force, ())
        self.store.is_down = False
        self.serve()
        self.advance(5.0)
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(self.result(self.store.halts()).in_force, (halt,))

    def test_it_survives_in_the_store_alone(self) -> None:
        """Days later the journal has let go of it."""
        halt = self.set_halt(self.one).halt
        self.advance(1.0)
        self.platform.run(self.room.stop())
        with patch("spire.execution.server.replay", wraps=_nothing_replayed):
            self.serve()
        self.advance(5.0)
        self.assertEqual(self.in_force(), [halt])
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")

    def test_the_history_of_the_firm_is_whole(self) -> None:
        """From memory, from the store, and after a restart: dense, once each."""
        halt = self.set_halt(self.one).halt
        self.release(self.other, halt)
        self.set_halt(self.one, HaltMode.NO_OPENING)
        before = self.everything_of_the_firm().events
        self.assertEqual([event.sequence for event in before], [1, 2, 3, 4, 5, 6])
        self.advance(70.0)
        self.assertEqual(self.everything_of_the_firm().events, before)
        self.restart()
        self.assertEqual(self.everything_of_the_firm().events, before)


def _nothing_replayed(orders: Any, chronicle: Any, frames: Any, stored: int, last: int) -> Any:
    """Replay as if the journal held nothing: the store has it all."""
    assert stored == last
    return replay(orders, chronicle, (), stored, last)


class FullDiskTests(HaltTestCase):
    """The journal takes nothing: halts hold all the same, and nothing is released."""

    def tearDown(self) -> None:
        """Let the errors of the disk be."""
        self.flushLoggedErrors(JournalFull)

    def room_again(self) -> None:
        """Let the journal be written again."""
        self.before_write = lambda: None
        self.advance(1.5)

    def test_a_halt_holds_and_is_answered_unavailable(self) -> None:
        """It is written down as soon as there is room, and told then."""
        self.before_write = self.no_room
        self.assertIsInstance(self.refusal(self.one.set_halt(self.halt())), Unavailable)
        self.assertIsInstance(self.refusal(self.one.set_halt(self.halt())), Unavailable)
        self.assertEqual(self.in_force(), [])
        self.room_again()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(len(self.in_force()), 1)
        firm = self.everything_of_the_firm()
        self.assertEqual([event.sequence for event in firm.events], [1, 2, 3])
        self.assertEqual((len(firm.halts), len(firm.audits)), (1, 2))
        self.restart()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")

    def test_a_release_fails_and_the_halt_holds_on(self) -> None:
        """Known to be full or not: nothing is released that was not written down."""
        halt = self.set_halt(self.one).halt
        self.before_write = self.no_room
        self.assertIsInstance(self.refusal(self.other.release_halt(halt.halt_id, "over")), Unavailable)
        self.assertIsInstance(self.refusal(self.other.release_halt(halt.halt_id, "over")), Unavailable)
        self.room_again()
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual(self.in_force(), [halt])
        self.assertEqual(len(self.everything_of_the_firm().halts), 1)

    def test_events_of_the_firm_are_numbered_anew(self) -> None:
        """What was undone leaves no hole between a halt and a refused attempt that waited."""
        rule = self.rule("trading_groups/demo", "max_quantity", {"quantity": "1"})
        self.before_write = self.no_room
        submitted = self.later(self.client.submit(self.request(Side.BUY, 2, 13)))
        halted = self.later(self.one.set_halt(self.halt()))
        stranger = self.later(self.client.set_halt(self.halt()))
        self.advance(0.1)
        for call in (submitted, halted):
            self.failureResultOf(call, SpireError)
        self.assertIsInstance(self.failureResultOf(stranger).value, Forbidden)
        self.room_again()
        firm = self.everything_of_the_firm()
        self.assertEqual([event.sequence for event in firm.events], [1, 2, 3])
        self.assertEqual((len(firm.halts), firm.violations), (1, []))
        self.assertEqual(sorted(audit.outcome for audit in firm.audits), [DONE, "FORBIDDEN"])
        self.assertEqual(rule.version, 1)


class HostTests(HaltTestCase):
    """The operator at the server's own socket."""

    def verb(self, name: str, **arguments: object) -> Any:
        """Ask a verb."""
        return self.result(self.room.verbs.run(name, arguments))

    def refused_verb(self, name: str, **arguments: object) -> SpireError:
        """Ask a verb that is refused."""
        return self.refusal(self.room.verbs.run(name, arguments))

    def test_a_halt_needs_neither_locator_nor_login(self) -> None:
        """Set and released by the same hands; nobody is named."""
        self.submit(Side.BUY, 100, 13)
        self.platform.network.faults.refuse.add("127.0.0.1:20000")
        self.addCleanup(self.advance, 5.0)
        self.addCleanup(self.platform.network.faults.refuse.clear)
        self.platform.network.drop("service_locator")
        answer = self.verb("halt", reason="fire", cancel_all=True)
        self.assertEqual(
            (answer["halt"]["halt_id"], answer["halt"]["set_by"], len(answer["confirmed"])), ("1", None, 1)
        )
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.assertEqual([each["halt_id"] for each in self.verb("halts")], ["1"])
        self.verb("release_halt", halt_id="1", reason="over")
        self.submit(Side.BUY, 1, 13)
        firm = self.everything_of_the_store()
        self.assertEqual(
            [(each.actor, each.channel, each.action) for each in firm],
            [
                (None, Channel.OPERATOR, "halt.set"),
                (None, Channel.OPERATOR, "halt.release"),
            ],
        )

    def everything_of_the_store(self) -> list[AuditEvent]:
        """Return the audit log, oldest first."""
        self.advance(0.5)
        events, _ = self.result(self.store.audit(AuditQuery()))
        return list(reversed(events))

    def test_a_halt_stops_what_opens_unless_more_is_asked(self) -> None:
        """As `spire halt set` does; what reduces passes."""
        self.submit(Side.BUY, 100)
        self.assertEqual(self.verb("halt", reason="fire")["halt"]["mode"], "NO_OPENING")
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")
        self.submit(Side.SELL, 100)

    def test_a_single_account_can_be_halted(self) -> None:
        """By its id."""
        number = str(self.account.trading_account_id)
        self.verb("halt", scope="TRADING_ACCOUNT", scope_id=number, mode="NO_OPENING", reason="fire")
        self.assertEqual(self.refused(Side.BUY, 1, 13).coded, "HALTED")

    def test_the_host_releases_only_its_own(self) -> None:
        """An officer's waits for an officer; what was set on the host may be released by one."""
        halt = self.set_halt(self.one).halt
        self.assertIsInstance(self.refused_verb("release_halt", halt_id=halt.halt_id, reason="x"), Forbidden)
        self.verb("halt", reason="fire")
        self.release(self.one, self.in_force()[1])

    def test_bad_input_is_coded_and_written_down(self) -> None:
        """Nothing is in force."""
        for arguments, kind in (
            ({"scope": "MOON", "reason": "x"}, Invalid),
            ({"scope_id": "seven", "reason": "x"}, Invalid),
            ({"reason": ""}, Invalid),
            ({"reason": None}, Invalid),
            ({"scope": [], "reason": "x"}, Invalid),
            ({"mode": None, "reason": "x"}, Invalid),
            ({"scope_id": 1.5, "reason": "x"}, Invalid),
            ({"scope": "VENUE", "scope_id": 8, "reason": "x"}, Unsupported),
            ({"scope": "TRADING_ACCOUNT", "scope_id": 2**40, "reason": "x"}, NotFound),
        ):
            self.assertIsInstance(self.refused_verb("halt", **arguments), kind, arguments)
        self.assertIsInstance(self.refused_verb("release_halt", halt_id="one", reason="x"), Invalid)
        self.assertIsInstance(self.refused_verb("release_halt", halt_id=1, reason="x"), NotFound)
        self.assertEqual(self.in_force(), [])
        self.assertEqual(
            [audit.entity for audit in self.everything_of_the_store()],
            [
                *("halt:0", "halt:0", "firm:0", "firm:0", "halt:0", "firm:0", "halt:0"),
                *("venue:8", f"trading_account:{2**40}", "halt:0", "halt:1"),
            ],
        )
        self.assertEqual(
            [audit.outcome for audit in self.everything_of_the_store()],
            ["INVALID"] * 7 + ["UNSUPPORTED", "NOT_FOUND", "INVALID", "NOT_FOUND"],
        )

    def test_a_reason_that_is_no_text_halts_nothing_and_leaves_no_hole(self) -> None:
        """Half a surrogate pair, as JSON may hold it, is INVALID, and spelled out in the audit log; orders go on."""
        error = self.refused_verb("halt", reason="\ud800")
        self.assertEqual((type(error), error.details["argument"]), (Invalid, "reason"))
        self.assertIsInstance(self.refused_verb("halt", reason="x", mode="\ud800"), Invalid)
        self.assertEqual(self.in_force(), [])
        self.submit(Side.BUY, 100, 13)
        self.verb("halt", reason="fire")
        for reason in ("\udfff", 5, None, "x" * 1001):
            error = self.refused_verb("release_halt", halt_id="1", reason=reason)
            self.assertEqual((type(error), error.details["argument"]), (Invalid, "reason"))
        firm = self.everything_of_the_firm()
        self.assertEqual([event.sequence for event in firm.events], list(range(1, 9)))
        self.assertIn("\\ud800", firm.audits[0].after or "")
        self.restart()
        self.assertEqual([halt.reason for halt in self.in_force()], ["fire"])

    def test_what_is_no_id_releases_nothing(self) -> None:
        """Nothing is rounded or guessed, and each attempt is written down."""
        self.verb("halt", reason="fire")
        for halt_id in (None, [], {}, 1.0, 1.5, True, "1.0", "-1", "\u0661", "1" * 30, ""):
            error = self.refused_verb("release_halt", halt_id=halt_id, reason="over")
            self.assertEqual((type(error), error.details.get("argument")), (Invalid, "halt_id"), halt_id)
        for halt_id in (0, -1, 10**40):
            self.assertIsInstance(self.refused_verb("release_halt", halt_id=halt_id, reason="over"), NotFound)
        self.assertEqual(len(self.in_force()), 1)
        outcomes = [audit.outcome for audit in self.everything_of_the_store()]
        self.assertEqual(outcomes, [DONE] + ["INVALID"] * 11 + ["NOT_FOUND"] * 3)

    def test_only_true_cancels_all(self) -> None:
        """A text is no truth."""
        self.submit(Side.BUY, 100, 13)
        for value in ("false", "true", 1, None):
            error = self.refused_verb("halt", reason="fire", cancel_all=value)
            self.assertEqual((type(error), error.details["argument"]), (Invalid, "cancel_all"))
        self.assertEqual(self.follower.told(), ["SUBMITTED", "NEW"])
        self.assertEqual(self.in_force(), [])

    def test_before_the_start_nothing_is_promised(self) -> None:
        """UNAVAILABLE says that no orders are taken either."""
        self.platform.run(self.room.stop())
        self.assertIsInstance(self.refused_verb("halt", reason="fire"), Unavailable)
        self.serve()
        self.advance(5.0)
