"""The guard: what costs plain AMP its connection costs here one coded error."""

from twisted.internet.defer import Deferred
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.log_context import current_log_context, log_context
from spire.wire.arguments import Bytes
from spire.wire.boxes import serialise
from spire.wire.codec import codec_of
from spire.wire.commands import Command
from spire.wire.errors import Conflict, Forbidden, Internal, Invalid, NotFound, Overloaded, Refused, Unavailable
from spire.wire.guard import Responders, responders_of
from spire.wire.limits import Limits
from tests.wire.support import (
    Absent,
    AbsentPush,
    Add,
    Fail,
    Move,
    Note,
    Ping,
    Point,
    Room,
    Stop,
    Strangers,
    Wait,
    WireTestCase,
)


class Loose(Command):
    """`Add` as somebody else would call it: any bytes, all optional."""

    commandName = b"Add"  # noqa: N815
    arguments = [(b"left", Bytes(optional=True)), (b"right", Bytes(optional=True)), (b"extra", Bytes(optional=True))]
    response = [(b"sum", Bytes())]


class Noting(list[str]):
    """Keeps the log context in which something was noted."""

    def __init__(self, seen: list[dict[str, object]]) -> None:
        self.seen = seen

    def append(self, note: str) -> None:
        """Keep the context."""
        self.seen.append(dict(current_log_context()))


class GuardTests(WireTestCase):
    """Every case ends with a connection that still answers."""

    limits = Limits(outstanding_calls=3)

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.peer = self.log_in()

    def still_answers(self) -> None:
        """Assert that the connection is alive."""
        self.assertEqual(self.answer(self.peer.ask(Add, {"left": 40, "right": 2})), {"sum": 42})

    def outcomes(self, command: str) -> dict[str, float]:
        """Return how often `command` had which outcome."""
        kinds = ("succeeded", "declared", "internal", "cancelled", "overloaded")
        found = {
            kind: self.metrics.value("spire_wire_server_commands_total", command=command, outcome=kind)
            for kind in kinds
        }
        return {kind: count for kind, count in found.items() if count}

    def test_a_call_is_answered_counted_and_timed(self) -> None:
        """The ordinary case."""
        self.still_answers()
        self.assertEqual(self.outcomes("Add"), {"succeeded": 1.0})
        self.assertEqual(self.metrics.value("spire_wire_server_command_seconds_count", command="Add"), 1.0)

    def test_typed_values_cross_both_ways(self) -> None:
        """Arguments and answers are values, not bytes."""
        answer = self.answer(self.peer.ask(Move, {"point": Point(x=1, y=2), "note": "n"}))
        self.assertEqual(answer, {"point": Point(x=1, y=2), "note": "n"})

    def test_a_declared_error_arrives_as_its_class_with_details(self) -> None:
        """Code, text and details cross."""
        error = self.refusal(self.peer.ask(Move, {"point": Point(x=13)}), Conflict)
        self.assertEqual((error.message, error.details), ("The point is taken.", {"x": "13"}))
        self.assertEqual(self.outcomes("Move"), {"declared": 1.0})
        self.still_answers()

    def test_a_services_own_code_arrives(self) -> None:
        """It needs no class at the caller's."""
        error = self.refusal(self.peer.ask(Move, {"point": Point(x=14)}), Refused)
        self.assertEqual((error.coded, error.details), ("SHORT_REQUIRED", {"position": "7"}))

    def test_an_undeclared_exception_is_internal_without_its_text(self) -> None:
        """What went wrong is in our log, not in the answer."""
        self.room.outcome = ValueError("the password is swordfish")
        error = self.refusal(self.peer.ask(Fail, {}), Internal)
        self.assertNotIn("swordfish", str(error))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.outcomes("Fail"), {"internal": 1.0})
        self.still_answers()

    def test_an_internal_error_that_is_raised_loses_its_text_too(self) -> None:
        """INTERNAL never says why."""
        self.room.outcome = Internal("table users is corrupt")
        error = self.refusal(self.peer.ask(Fail, {}), Internal)
        self.assertNotIn("users", str(error))
        self.assertEqual(len(self.flushLoggedErrors(Internal)), 1)

    def test_an_answer_that_is_too_long_is_internal(self) -> None:
        """An answer beyond one AMP value never reaches the wire."""
        self.room.outcome = {"value": b"x" * 70_000}
        self.refusal(self.peer.ask(Fail, {}), Internal)
        self.assertEqual(len(self.flushLoggedErrors(Invalid)), 1)
        self.still_answers()

    def test_an_answer_with_wrong_keys_is_internal(self) -> None:
        """A responder that answers what was not declared is a fault of ours."""
        self.room.outcome = {"other": b"x"}
        self.refusal(self.peer.ask(Fail, {}), Internal)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.still_answers()

    def test_an_answer_that_is_no_mapping_is_internal(self) -> None:
        """So is one that answers something else altogether."""
        self.room.outcome = 5
        self.refusal(self.peer.ask(Fail, {}), Internal)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.still_answers()

    def test_a_missing_argument_is_invalid_and_named(self) -> None:
        """The caller learns which."""
        error = self.refusal(self.peer.ask(Loose, {"left": b"1"}), Invalid)
        self.assertEqual(error.details["argument"], "right")
        self.still_answers()

    def test_an_argument_that_does_not_parse_is_invalid_and_named(self) -> None:
        """The caller learns which, and why."""
        error = self.refusal(self.peer.ask(Loose, {"left": b"one", "right": b"2"}), Invalid)
        self.assertEqual((error.details["argument"], error.message), ("left", "left: a whole number is expected."))
        self.still_answers()

    def test_a_typed_argument_that_does_not_validate_is_invalid_with_its_path(self) -> None:
        """A structure says where in it the trouble is."""
        box = serialise({b"_command": b"Move", b"_ask": b"77", b"point": b"\x81\xa1x\xa1a"})
        answered: Deferred[object] = Deferred()
        self.peer._calls[b"77"] = type("Call", (), {"codec": codec_of(Move), "result": answered, "deadline": 1e9})()
        self.peer.write_box(box)
        error = self.refusal(answered, Invalid)
        self.assertEqual((error.details["argument"], error.details["path"]), ("point", "$.x"))
        self.still_answers()

    def test_an_extra_argument_is_ignored(self) -> None:
        """A newer client may say more."""
        answer = self.answer(self.peer.ask(Loose, {"left": b"1", "right": b"2", "extra": b"3"}))
        self.assertEqual(answer, {"sum": b"3"})

    def test_an_unknown_command_is_not_found(self) -> None:
        """It says which."""
        error = self.refusal(self.peer.ask(Absent, {}), NotFound)
        self.assertEqual(error.details["command"], "Absent")
        self.still_answers()

    def test_an_unknown_push_is_ignored(self) -> None:
        """A newer peer may push more."""
        self.peer.push(AbsentPush, {})
        self.still_answers()

    def test_a_failing_push_is_logged_and_forgotten(self) -> None:
        """Nobody is told, nothing is closed."""
        self.peer.push(Note, {"text": "raise"})
        self.peer.push(Note, {"text": "after"})
        self.still_answers()
        self.assertEqual(self.room.notes, ["after"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_calls_beyond_the_cap_are_overloaded(self) -> None:
        """Those within it are answered all the same."""
        waiting = [self.peer.ask(Wait, {"name": name}) for name in "abc"]
        self.clock.pump()
        self.refusal(self.peer.ask(Wait, {"name": "d"}), Overloaded)
        self.refusal(self.peer.ask(Add, {"left": 1, "right": 1}), Overloaded)
        for one in self.room.waiting.values():
            one.callback(None)
        self.assertEqual([self.answer(one)["name"] for one in waiting], ["a", "b", "c"])
        self.assertEqual(self.outcomes("Wait"), {"succeeded": 3.0, "overloaded": 1.0})
        self.still_answers()

    def test_answers_may_overtake_each_other(self) -> None:
        """A slow call holds up nobody."""
        slow = self.peer.ask(Wait, {"name": "slow"})
        fast = self.peer.ask(Add, {"left": 1, "right": 1})
        self.assertEqual(self.answer(fast), {"sum": 2})
        self.room.waiting["slow"].callback(None)
        self.assertEqual(self.answer(slow), {"name": "slow"})

    def test_a_lost_connection_lets_a_responder_finish_unheard(self) -> None:
        """Half an order is worse than an unread answer."""
        waiting = self.peer.ask(Wait, {"name": "a"})
        self.clock.pump()
        self.network.drop()
        self.refusal(waiting, Unavailable)
        self.room.waiting["a"].callback(None)
        self.assertEqual(self.room.notes, ["waited a"])

    def test_a_lost_connection_cancels_what_says_so(self) -> None:
        """Long reads end with whoever wanted them."""
        waiting = self.peer.ask(Stop, {})
        self.clock.pump()
        self.network.drop()
        self.refusal(waiting, Unavailable)
        self.assertEqual((self.room.notes, self.outcomes("Stop")), (["cancelled"], {"cancelled": 1.0}))

    def test_the_callers_correlation_id_is_the_sessions(self) -> None:
        """It follows the work from one server to the next."""
        with log_context(correlation_id="order-17"):
            asked = self.peer.ask(Add, {"left": 1, "right": 1})
        self.answer(asked)
        self.assertEqual((self.room.correlations, self.session.correlation_id), (["order-17"], ""))

    def test_the_log_context_names_session_and_command(self) -> None:
        """Also after the responder has waited."""
        seen: list[dict[str, object]] = []
        waiting = self.peer.ask(Wait, {"name": "a"})
        self.clock.pump()
        gate = self.room.waiting["a"]
        self.room.notes = Noting(seen)
        gate.callback(None)
        self.answer(waiting)
        self.assertEqual((seen[0]["session"], seen[0]["command"]), (self.session.id, "Wait"))

    def test_a_call_that_is_not_answered_in_time_is_in_doubt(self) -> None:
        """The late answer is swallowed, and the connection goes on."""
        waiting = self.peer.ask(Wait, {"name": "late"}, timeout_seconds=2.0)
        self.clock.advance(1.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.assertTrue(self.failureResultOf(waiting, Unavailable).value.in_doubt)
        self.room.waiting["late"].callback(None)
        self.still_answers()

    def test_each_call_has_its_own_deadline(self) -> None:
        """A short one made later ends first."""
        long = self.peer.ask(Wait, {"name": "long"}, timeout_seconds=5.0)
        short = self.peer.ask(Wait, {"name": "short"}, timeout_seconds=1.0)
        self.clock.advance(1.0)
        self.failureResultOf(short, Unavailable)
        self.assertNoResult(long)
        self.clock.advance(4.0)
        self.failureResultOf(long, Unavailable)

    def test_a_cancelled_call_is_forgotten(self) -> None:
        """Its answer changes nothing."""
        waiting = self.peer.ask(Wait, {"name": "gone"})
        self.clock.pump()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.room.waiting["gone"].callback(None)
        self.still_answers()

    def test_an_argument_that_cannot_be_sent_fails_before_it_leaves(self) -> None:
        """The server never hears of it."""
        error = self.refusal(self.peer.ask(Add, {"left": "1", "right": 2}), Invalid)
        self.assertEqual((error.details["argument"], self.outcomes("Add")), ("left", {}))


class ClientGuardTests(WireTestCase):
    """The same guard stands at the client's end, for what servers push."""

    def test_a_push_that_fails_at_the_client_keeps_the_connection(self) -> None:
        """Its log says why."""
        room = Room()
        peer = self.log_in(room)
        self.session.send(Note, text="raise")
        self.session.send(Note, text="after")
        self.answer(peer.ask(Add, {"left": 1, "right": 1}))
        self.assertEqual(room.notes, ["after"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class RespondersTests(SynchronousTestCase):
    """Several locators make one table."""

    def test_all_commands_are_there_and_the_later_locator_wins(self) -> None:
        """A room's own responders stand beside the shared ones."""
        first, second = Room(), Room()
        joined = Responders(first, Strangers(), second)
        table = responders_of(joined)
        self.assertIn(Ping.commandName, table)
        self.assertIs(table[Add.commandName][1].__self__, second)

    def test_plain_amp_can_use_it(self) -> None:
        """It is a locator like any other."""
        responder = Responders(Room()).locateResponder(b"Add")
        assert responder is not None
        box = self.successResultOf(responder(amp.AmpBox({b"left": b"1", b"right": b"2"})))
        self.assertEqual(box[b"sum"], b"3")

    def test_what_is_no_locator_is_refused(self) -> None:
        """At login, not at the first call."""
        self.assertRaises(TypeError, responders_of, object())


class ForbiddenTests(WireTestCase):
    """Capabilities guard what a table cannot."""

    def test_require_passes_whoever_holds_the_capability(self) -> None:
        """And refuses the others by name."""
        self.log_in()
        self.session.require("test.use")
        error = self.assertRaises(Forbidden, self.session.require, "test.break")
        self.assertEqual(error.details, {"capability": "test.break"})
