"""What has no form in bytes changes nothing: no state that the journal does not hold, and no hole in any numbering."""

from typing import Any

from attrs import evolve

from spire.execution.firm import firm_events
from spire.execution.values import FIRM, Execution, Halt
from spire.values.audit import AuditEvent
from spire.values.environment import Environment
from spire.values.orders import Channel, ExecType, Side, Status
from spire.values.risk import HaltMode, HaltScope
from spire.values.time import Timestamp
from spire.wire.segments import PAYLOAD_LIMIT
from tests.execution.halting import HaltTestCase

NO_TEXT = "\ud800"
HALT = Halt(
    halt_id=1, scope=HaltScope.FIRM, scope_id=FIRM, mode=HaltMode.NO_NEW, reason="x", set_by=5, set_at=Timestamp(1)
)
AUDIT = AuditEvent(
    event_id="0f" * 16,
    time=Timestamp(1),
    environment=Environment.DEMO,
    actor=5,
    actor_name="officer",
    session="s-1",
    channel=Channel.PORTAL,
    source="here",
    action="halt.set",
    entity="halt:1",
)


class WholeTests(HaltTestCase):
    """Events are encoded before they are folded, those of one frame together."""

    def service(self) -> Any:
        """Return the application service."""
        children = {child.name: child for child in self.room.children}
        return children["orders"].stop.__self__  # type: ignore[attr-defined] # the application service

    def no_event(self, *contents: Halt | AuditEvent) -> None:
        """Check that events of the firm are not taken and leave nothing behind."""
        service = self.service()
        events = firm_events(service._orders, Timestamp(5), *contents)
        self.assertRaises(ValueError, service._chronicle.fold, *events)
        self.assertEqual(service._orders.halts.in_force, ())
        self.assertEqual(service._orders.account(FIRM).sequence, 0)

    def nothing_happened(self) -> None:
        """Check that orders pass, and that the firm's events are whole from the first on."""
        self.submit(Side.BUY, 1, 13)
        self.set_halt(self.one)
        self.assertEqual([event.sequence for event in self.everything_of_the_firm().events], [1, 2])
        self.restart()
        self.assertEqual([halt.reason for halt in self.in_force()], ["something is wrong"])

    def test_a_halt_that_cannot_be_written_is_not_in_force(self) -> None:
        """Whoever lets it through."""
        self.no_event(evolve(HALT, reason=NO_TEXT), AUDIT)
        self.nothing_happened()

    def test_a_halt_that_no_topic_can_show_is_not_in_force(self) -> None:
        """It is larger than a record may be."""
        self.no_event(evolve(HALT, reason="x" * PAYLOAD_LIMIT), AUDIT)
        self.nothing_happened()

    def test_a_halt_is_not_in_force_without_its_audit_event(self) -> None:
        """One that cannot be written takes the halt before it with it: text and numbers alike."""
        self.no_event(HALT, evolve(AUDIT, action=NO_TEXT))
        self.no_event(HALT, evolve(AUDIT, entity_version=2**64))
        self.nothing_happened()

    def test_an_audit_event_spells_out_what_is_no_text(self) -> None:
        """In every text that somebody else wrote."""
        (event,) = firm_events(
            self.service()._orders,
            Timestamp(5),
            evolve(AUDIT, before=NO_TEXT, after=NO_TEXT, reason=NO_TEXT, text=NO_TEXT, entity=NO_TEXT),
        )
        audit = event.audit
        assert audit is not None
        told = {audit.before, audit.after, audit.reason, audit.text, audit.entity}
        self.assertEqual(told, {"\\ud800"})

    def test_a_report_that_cannot_be_written_did_not_happen(self) -> None:
        """The order stands as it stood, and what is said of it next follows."""
        view = self.submit(Side.BUY, 100, 13)
        word = Execution(order_id=view.order_id, exec_type=ExecType.CANCELED, text=NO_TEXT)
        self.service()._booking.report(word)
        self.advance(0.1)
        self.assertEqual(self.order(view).status, Status.NEW)
        self.assertEqual(self.result(self.client.cancel(view.order_id)).status, Status.CANCELED)
        self.advance(0.1)
        self.assertEqual([event.sequence for event in self.follower.events], [1, 2, 3])
