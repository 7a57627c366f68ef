"""One AMP connection, the same at both ends: boxes in and out, calls and their answers, signs of life."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure
from zope.interface import implementer

from spire.runtime.clock import Clock
from spire.runtime.log_context import fields as log_fields
from spire.runtime.metrics import Metrics
from spire.wire.boxes import Box, BoxParser
from spire.wire.codec import ANSWER, COMMAND, ERROR, Codec, codec_of, encode_push, error_in
from spire.wire.errors import Internal, Invalid, SpireError, Unavailable
from spire.wire.guard import Guard, Table, no_such_command
from spire.wire.handshake import Goodbye, Heartbeat
from spire.wire.interfaces import IConnection
from spire.wire.limits import Limits

# Boxes from here on are written by themselves, so that the transport can ask for a pause between two of them.
LARGE_BOX = 8 * 1024
CALL_SECONDS = 10.0

HEARTBEAT = encode_push(Heartbeat)


class Traffic:
    """What all connections of one side count together."""

    def __init__(self, metrics: Metrics, side: str) -> None:
        self.received = metrics.counter(f"spire_wire_{side}_received_bytes", "Bytes received in clear.").inc
        self.sent = metrics.counter(f"spire_wire_{side}_sent_bytes", "Bytes written in clear.").inc
        self.late = metrics.counter(f"spire_wire_{side}_late_answers", "Answers that nobody waited for any more.").inc
        self.faults = metrics.counter(
            f"spire_wire_{side}_connection_faults", "Connections ended for a fault of the peer.", ["fault"]
        )


@implementer(IPushProducer)
class _Flow:
    """The transport's push producer; reading from the peer goes on while writing pauses."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    def pauseProducing(self) -> None:
        """Hold back what can wait."""
        self._connection._set_writable(writable=False)

    def resumeProducing(self) -> None:
        """Write again."""
        self._connection._set_writable(writable=True)

    def stopProducing(self) -> None:
        """Write no more: the connection is going."""
        self._connection._set_writable(writable=False)


class _Call:
    """A call that waits for its answer."""

    __slots__ = ("codec", "deadline", "result")

    def __init__(self, codec: Codec, deadline: float, result: Deferred[dict[str, Any]]) -> None:
        self.codec = codec
        self.deadline = deadline
        self.result = result


@implementer(IConnection)
class Connection(Protocol):
    """An AMP connection under a guard.

    `table` says what the peer may call and may be replaced at any time; `unknown` makes the error for anything else.
    `label` names the connection in logs. `running` holds the responders that have not ended yet.
    """

    transport: Any  # ITransport, IConsumer and abortConnection, which no single interface of Twisted holds

    _log = Logger()

    def __init__(self, guard: Guard, clock: Clock, traffic: Traffic, limits: Limits, label: str) -> None:
        self.guard = guard
        self.clock = clock
        self.limits = limits
        self.label = label
        self.table: Table = {}
        self.unknown: Callable[[str], SpireError] = no_such_command
        self.running: dict[Deferred[Any], bool] = {}
        self.outstanding_limit = limits.outstanding_calls
        self.largest_box = limits.largest_box
        self.is_open = False
        self.writable = True
        self.peer = ""
        self.goodbye: SpireError | None = None
        self._traffic = traffic
        self._parser = BoxParser(limits.largest_box)
        self._calls: dict[bytes, _Call] = {}
        self._tags = 0
        self._deadline_timer: IDelayedCall | None = None
        self._next_deadline = 0.0
        self._cork: list[bytes] | None = None
        self._unread = 0
        self._lost_callbacks: list[Callable[[Failure], None]] = []
        self._writable_callbacks: list[Callable[[bool], None]] = []
        self._last_received = 0.0
        self._life_timer: IDelayedCall | None = None
        self._close_timer: IDelayedCall | None = None
        self._lost = False

    # What owns a connection replaces these two.

    def opened(self) -> None:
        """Begin: the transport is there."""

    def login_failed(self, answer: Callable[[], None]) -> None:
        """Send `answer`, the refusal of a login, when the owner thinks fit."""
        answer()

    # Calls of ours

    def ask(
        self, command: type[amp.Command], arguments: dict[str, Any], timeout_seconds: float = CALL_SECONDS
    ) -> Deferred[dict[str, Any]]:
        """Call `command`; the Deferred fires with the values of the answer.

        Fails with the SpireError that the peer answered; with Invalid where an argument cannot be sent; with
        Unavailable where the connection is or gets lost or no answer comes in time, `in_doubt` where the call was sent.
        """
        if not self.is_open:
            return fail(Unavailable("The connection is closed.", in_doubt="no"))
        self._tags += 1
        tag = b"%x" % self._tags
        codec = codec_of(command)
        try:
            box = codec.request(tag, arguments, self._correlation(tag))
        except (Invalid, TypeError) as error:
            return fail(error)
        result: Deferred[dict[str, Any]] = Deferred(lambda _: self._forget(tag))
        deadline = self.clock.monotonic() + timeout_seconds
        self._calls[tag] = _Call(codec, deadline, result)
        if self._deadline_timer is None or deadline < self._next_deadline:
            self._watch_deadlines(deadline)
        self.write_box(box)
        return result

    def push(self, command: type[amp.Command], arguments: dict[str, Any]) -> None:
        """Send a one-way command; on a closed connection nothing happens. Raises Invalid or TypeError as `ask`."""
        if self.is_open:
            self.write_box(codec_of(command).request(None, arguments))

    def write_box(self, box: bytes) -> None:
        """Send a box, or several joined ones; small ones that are written while boxes are read share one write."""
        transport = self.transport
        if transport is None or not self.is_open:
            return
        cork = self._cork
        if cork is not None:
            if len(box) < LARGE_BOX:
                cork.append(box)
                return
            self._uncork()
            self._cork = []
        self._write(box)

    def _write(self, data: bytes) -> None:
        transport = self.transport
        if transport is None:
            return
        if not self.writable:
            self._unread += len(data)
            if self._unread > self.limits.unread_bytes:
                self.fault("unread", f"the peer left {self._unread} bytes unread")
                return
        self._traffic.sent(len(data))
        transport.write(data)

    def _uncork(self) -> None:
        cork, self._cork = self._cork, None
        if cork:
            self._write(cork[0] if len(cork) == 1 else b"".join(cork))

    def _correlation(self, tag: bytes) -> bytes:
        given = log_fields.get().get("correlation_id")
        return str(given).encode()[:128] if given else f"{self.label}-".encode() + tag

    def _forget(self, tag: bytes) -> None:
        self._calls.pop(tag, None)

    def _watch_deadlines(self, deadline: float) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        self._next_deadline = deadline
        self._deadline_timer = self.clock.later(deadline - self.clock.monotonic(), self._deadline)

    def _deadline(self) -> None:
        self._deadline_timer = None
        now = self.clock.monotonic()
        late = [(tag, call) for tag, call in self._calls.items() if call.deadline <= now]
        for tag, call in late:
            if self._calls.pop(tag, None) is not None:
                call.result.errback(Unavailable(f"{call.codec.text} was not answered in time.", in_doubt="yes"))
        if self._calls and self._deadline_timer is None:
            self._watch_deadlines(min(call.deadline for call in self._calls.values()))

    # Boxes of the peer

    def connectionMade(self) -> None:
        """Note where the peer is, register the producer, and begin."""
        transport = self.transport
        assert transport is not None
        self.is_open = True
        peer = transport.getPeer()
        host, port = getattr(peer, "host", None), getattr(peer, "port", None)
        self.peer = f"{host}:{port}" if host is not None else str(getattr(peer, "name", None) or "")
        self._last_received = self.clock.monotonic()
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        transport.registerProducer(_Flow(self), True)
        self.opened()

    def dataReceived(self, data: bytes) -> None:
        """Read boxes; a fault in the stream ends the connection after the boxes before it."""
        if not self.is_open:
            return
        self._last_received = self.clock.monotonic()
        self._traffic.received(len(data))
        parser = self._parser
        boxes = parser.feed(data)
        if boxes:
            outer = self._cork is not None  # a transport may deliver while we write
            if not outer:
                self._cork = []
            try:
                for box in boxes:
                    if not self.is_open:
                        break
                    self._receive(box)
            finally:
                if not outer:
                    self._uncork()
        if parser.fault is not None and self.is_open:
            self.fault("box", str(parser.fault))

    def _receive(self, box: Box) -> None:
        if COMMAND in box:
            self.guard.run(self, box)
        elif ANSWER in box:
            call = self._calls.pop(box[ANSWER], None)
            if call is None:
                self._traffic.late()
                return
            try:
                values = call.codec.values(box)
            except Invalid as error:
                self._log.warn(
                    "{label}: answer to {command}: {error}", label=self.label, command=call.codec.text, error=str(error)
                )
                call.result.errback(Internal(f"The answer to {call.codec.text} cannot be read.", **error.details))
                return
            call.result.callback(values)
        elif ERROR in box:
            call = self._calls.pop(box[ERROR], None)
            if call is None:
                self._traffic.late()
            else:
                call.result.errback(error_in(box))
        else:
            self.fault("box", "A box is neither command nor answer.")

    # Flow

    def on_writable(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` with False when the transport asks to pause, with True when it takes more again."""
        self._writable_callbacks.append(callback)

    def _set_writable(self, *, writable: bool) -> None:
        if writable == self.writable:
            return
        self.writable = writable
        self._unread = 0
        for callback in tuple(self._writable_callbacks):
            callback(writable)

    # Life and end

    def keep_alive(self) -> None:
        """Send a heartbeat each interval from now on, and abort when the peer was silent for too long."""
        self._life_timer = self.clock.later(self.limits.heartbeat_seconds, self._beat)

    def _beat(self) -> None:
        now = self.clock.monotonic()
        silent = now - self._last_received
        if silent >= self.limits.silence_seconds:
            self.fault("silent", f"the peer was silent for {silent:.0f} s", say_goodbye=False)
            return
        self.write_box(HEARTBEAT)
        pause = min(self.limits.heartbeat_seconds, self.limits.silence_seconds - silent)
        self._life_timer = self.clock.later(pause, self._beat)

    def on_lost(self, callback: Callable[[Failure], None]) -> None:
        """Call `callback` once, with the reason, when the connection is gone; at once where it is gone already."""
        if self._lost:
            callback(Failure(connectionDone.value))
        else:
            self._lost_callbacks.append(callback)

    def fault(self, kind: str, text: str, *, say_goodbye: bool = True) -> None:
        """End the connection for a fault of the peer: logged, counted and, if it can still hear, told."""
        self._traffic.faults.labels(fault=kind).inc()
        self._log.warn("{label} ({peer}): closed: {text}", label=self.label, peer=self.peer, text=text)
        if say_goodbye and self.writable:
            self.close(Invalid(text))
        else:
            self.abort()

    def close(self, reason: SpireError | None = None) -> None:
        """Tell the peer why, send what is written already, and close; abort when that takes too long."""
        transport = self.transport
        if transport is None or not self.is_open:
            return
        if reason is not None:
            self.push(Goodbye, {"code": reason.coded, "message": reason.message[:1_000]})
        cork, self._cork = self._cork, None
        if cork:
            transport.write(b"".join(cork))
        self.is_open = False
        transport.unregisterProducer()
        transport.loseConnection()
        self._close_timer = self.clock.later(self.limits.closing_seconds, self.abort)

    def abort(self) -> None:
        """Drop the connection now."""
        self.is_open = False
        if self.transport is not None and not self._lost:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail the calls that wait, cancel the responders that may be, and tell whoever asked to know."""
        self.is_open = False
        self._lost = True
        for timer in (self._deadline_timer, self._life_timer, self._close_timer):
            if timer is not None and timer.active():
                timer.cancel()
        self._deadline_timer = self._life_timer = self._close_timer = None
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.result.errback(
                Unavailable(f"The connection was lost before {call.codec.text} was answered.", in_doubt="yes")
            )
        for responder, cancel in tuple(self.running.items()):
            if cancel:
                responder.cancel()
        callbacks, self._lost_callbacks = self._lost_callbacks, []
        for callback in callbacks:
            callback(reason)
        self.transport = None
