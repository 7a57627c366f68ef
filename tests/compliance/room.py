"""The Compliance Server among the rooms that it needs, in one process, and a wire that speaks as Order Execution does."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.protocols.amp import CommandLocator, IResponderLocator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from spire.client.deployment import Deployment, LocatorAddresses
from spire.client.platform import Spire
from spire.compliance import tap
from spire.compliance.client import ComplianceClient
from spire.compliance.interfaces import Place
from spire.compliance.memory import MemoryComplianceStore
from spire.compliance.values import RuleEntry, Violation
from spire.database.errors import CommitUnknown, StoreDown
from spire.execution.values import FIRM, Activity, activity_topic
from spire.locator.bootstrap import VERIFY_ORDERS
from spire.locator.client import LocatorLink
from spire.locator.credentials import Password
from spire.locator.values import AccountKind, Entry, Right, TradingAccountTerms, TradingAccountType
from spire.service.container import SpireService
from spire.service.room import ServerRoom
from spire.service.secrets import read_secret, read_text
from spire.testing.platform import Platform
from spire.values.audit import AuditEvent
from spire.values.environment import Environment
from spire.values.orders import Capacity
from spire.wire.errors import SpireError
from spire.wire.interfaces import IAvatars
from spire.wire.publisher import Publisher, Topic
from spire.wire.records import Rows
from spire.wire.server_session import Session
from spire.wire.stream_responders import StreamResponders
from spire.wire.topics import HistoryChunk, IHistory, ITopics, StreamListener
from tests.compliance.examples import NOW

SERVICE = "compliance_service"
ORDERS = "order_execution_service"
SERVERS = ("service-locator", "uid", "definitions")
PASSWORD = "correct horse battery staple"
CODEC = Rows(Activity)
TERMS = TradingAccountTerms(
    type=TradingAccountType.PROPRIETARY,
    firm_designated_id="book",
    base_currency="USD",
    default_capacity=Capacity.PRINCIPAL,
)


class FragileStore(MemoryComplianceStore):
    """A memory store that can be away, or lose its connection behind a commit."""

    is_down = False
    loses_commit = False

    async def rules_version(self) -> int:
        """Answer, or be away."""
        self._there()
        return await super().rules_version()

    async def rules(self) -> tuple[RuleEntry, ...]:
        """Answer, or be away."""
        self._there()
        return await super().rules()

    async def rule(self, rule_id: int) -> RuleEntry | None:
        """Answer, or be away."""
        self._there()
        return await super().rule(rule_id)

    async def rule_versions(self, rule_id: int, after: int, limit: int) -> tuple[RuleEntry, ...]:
        """Answer, or be away."""
        self._there()
        return await super().rule_versions(rule_id, after, limit)

    async def add_rule(self, rule: RuleEntry, event: AuditEvent) -> None:
        """Write, or be away."""
        self._there()
        await super().add_rule(rule, event)
        if self.loses_commit:
            raise CommitUnknown("the connection was lost during commit")

    async def change_rule(self, rule: RuleEntry, event: AuditEvent) -> None:
        """Write, or be away."""
        self._there()
        await super().change_rule(rule, event)

    async def place(self) -> Place:
        """Answer, or be away."""
        self._there()
        return await super().place()

    async def record(self, violations: Sequence[Violation], place: Place) -> None:
        """Write, or be away."""
        self._there()
        await super().record(violations, place)
        if self.loses_commit:
            raise CommitUnknown("the connection was lost during commit")

    async def violations(self, *arguments: Any) -> tuple[Violation, ...]:
        """Answer, or be away."""
        self._there()
        return await super().violations(*arguments)

    async def find_violations(self, *arguments: Any) -> tuple[Violation, ...]:
        """Answer, or be away."""
        self._there()
        return await super().find_violations(*arguments)

    async def audit(self, event: AuditEvent) -> None:
        """Write, or be away."""
        self._there()
        await super().audit(event)

    def _there(self) -> None:
        if self.is_down:
            raise StoreDown("the database is away")


class Follower(StreamListener[tuple[Violation, ...]]):
    """Keeps a trading account's violations."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.resets: list[tuple[int, int]] = []
        self.errors: list[SpireError] = []

    def reset(self, epoch: int, after: int) -> None:
        """Keep where it begins."""
        self.resets.append((epoch, after))

    def update(self, records: tuple[Violation, ...]) -> None:
        """Keep violations."""
        self.violations += records

    def lost(self, error: SpireError) -> None:
        """Keep an error."""
        self.errors.append(error)

    @property
    def sequences(self) -> list[int]:
        """Return their sequences, in order."""
        return [violation.sequence for violation in self.violations]


@implementer(ITopics, IHistory, IAvatars)
class FirmWire:
    """Publishes `activity/0` as Order Execution does, over the real wire, under its account."""

    def __init__(self, platform: Platform, *, epoch: int = 1, events: Sequence[Activity] = ()) -> None:
        parts = platform.parts()
        configuration = platform.configuration("compliance")
        address = "127.0.0.1:20700"
        layout = platform.instance.layout
        configuration = evolve(
            configuration,
            server=evolve(configuration.server, name=ORDERS, interface=address, advertise=(address,)),
            locator=evolve(configuration.locator, account=ORDERS, secret_file=read_secret(layout.secret(ORDERS))),
        )
        locator = LocatorLink(configuration.locator, parts, configuration.environment)
        room = ServerRoom(configuration, parts, locator=locator)
        room.epoch = epoch
        room.link()
        room.listen(ORDERS, configuration.server, self)
        self.service: SpireService = room.finish()
        self.events = list(events)
        self._parts = parts
        self._epoch = epoch
        publisher = Publisher(clock=parts.clock, tasks=parts.tasks, metrics=parts.metrics)
        through = self.events[-1].sequence if self.events else 0
        self._topic = publisher.log(activity_topic(FIRM), epoch=epoch, through=through, codec=CODEC, history=self)
        platform.run(self.service.start())

    def publish(self, *violations: Violation | None) -> None:
        """Publish the firm's next events: a violation each, or with None another event."""
        for violation in violations:
            sequence = self._topic.through + 1
            event = Activity(
                sequence=sequence, epoch=self._epoch, time=NOW, trading_account_id=FIRM, violation=violation
            )
            self.events.append(event)
            self._topic.publish(CODEC.encode((event,)), 1, sequence)

    def anonymous(self, session: Session) -> IResponderLocator:
        """Return nothing to call."""
        return CommandLocator()

    def avatar(self, session: Session) -> IResponderLocator:
        """Return streams, for whoever verifies orders."""
        session.require(VERIFY_ORDERS)
        return StreamResponders(session, self, clock=self._parts.clock, tasks=self._parts.tasks)

    def closed(self, session: Session) -> None:
        """Forget nothing."""

    async def open_topic(self, session: Session, name: str) -> Topic:
        """Return the firm's activity."""
        return self._topic

    async def earliest(self, topic: str) -> int:
        """Return 0: everything is kept."""
        return 0

    async def load(self, topic: str, after: int, through: int) -> AsyncIterator[HistoryChunk]:
        """Yield what is kept."""
        found = [event for event in self.events if after < event.sequence <= through]
        yield HistoryChunk(payload=CODEC.encode(found), count=len(found), after=after, through=through)


class Firm:
    """The rooms that are shared by all tests of a process, and the people of a firm.

    There are an administrator, a risk officer, the manager and the trader of a group with two books, and a stranger.
    """

    shared: ClassVar["Firm | None"] = None

    def __init__(self, home: Path) -> None:
        self.platform = Platform(home)
        self.platform.start(*SERVERS)
        self.people: dict[str, Spire] = {}
        self.places: dict[str, Entry] = {}
        self._login("administrator", self.platform.instance.password("administrator"))
        self._hire()

    def id_of(self, path: str) -> int:
        """Return the id of a directory entry, by its path or by the name that `_hire` gave it."""
        found = self.places.get(path)
        if found is None:
            found = self.places[path] = self.platform.run(self.people["administrator"].directory.find(path))
        return found.entry_id

    def hire(self, name: str, path: str) -> None:
        """Give a person an account in a directory, and log him in."""
        directory = self.people["administrator"].directory
        made = self.platform.run(directory.make_account(name, self.id_of(path), AccountKind.PERSON, PASSWORD))
        self.places[name] = self.platform.run(directory.load(made))[0]
        self._login(name, PASSWORD)

    def _hire(self) -> None:
        run = self.platform.run
        directory = self.people["administrator"].directory
        for name, path in (
            ("officer", "risk_officers"),
            ("manager", "trading_groups/demo/managers"),
            ("trader", "trading_groups/demo/traders"),
            ("stranger", "trading_groups/demo/traders"),
        ):
            self.hire(name, path)
        self.places["demo"] = run(directory.find("trading_groups/demo"))
        run(directory.grant(self.id_of("manager"), self.id_of("demo"), Right.READ | Right.VIEW | Right.MANAGE))
        accounts = self.id_of("trading_groups/demo/accounts")
        for name, trader_id in (("book", self.id_of("trader")), ("other", None)):
            made = run(directory.make_trading_account(name, accounts, TERMS, trader_id))
            self.places[name] = run(directory.load(made))[0]
        run(directory.make_directory("elsewhere", self.id_of("/")))

    def _login(self, name: str, password: str) -> None:
        layout = self.platform.instance.layout
        locator = LocatorAddresses(addresses=("127.0.0.1:20000",), authority=read_text(layout.tls / "authority.pem"))
        person = Spire(
            Password(account=name, password=password),
            Deployment(environment=Environment.DEMO, locator=locator),
            clock=self.platform.clock,
            connector=self.platform.network,
            random_bytes=self.platform.parts().random_bytes,
        )
        self.platform.run(person.open())
        self.people[name] = person


class ComplianceRoomTestCase(SynchronousTestCase):
    """Compliance on a store of its own, in a firm that all tests share."""

    def setUp(self) -> None:
        """Start the server."""
        if Firm.shared is None:
            Firm.shared = Firm(Path(self.mktemp()).absolute())
        self.firm = Firm.shared
        self.platform = self.firm.platform
        self.store = FragileStore()
        self.room = self.serve()

    def serve(self) -> SpireService:
        """Start a server on the store; it is stopped after the test."""
        room = tap.make_room(self.platform.configuration("compliance"), self.platform.parts(), store=self.store)
        self.addCleanup(lambda: self.platform.run(room.stop()))
        self.platform.run(room.start())
        return room

    def restart(self) -> None:
        """Stop the server and start another on the same store."""
        self.platform.run(self.room.stop())
        self.room = self.serve()

    def orders(self, **options: Any) -> FirmWire:
        """Start what publishes violations; it is stopped after the test."""
        wire = FirmWire(self.platform, **options)
        self.addCleanup(lambda: self.platform.run(wire.service.stop()))
        self.advance(3.0)
        return wire

    def client(self, name: str) -> ComplianceClient:
        """Return Compliance as somebody sees it, ready."""
        person = self.firm.people[name]
        self.platform.run(person.ready(SERVICE, 60.0))
        return person.compliance

    def id_of(self, path: str) -> int:
        """Return the id of a directory entry, by its path or name."""
        return self.firm.id_of(path)

    # Asking

    def result(self, work: Awaitable[Any]) -> Any:
        """Let time pass until a call is answered."""
        return self.platform.run(work)

    def refusal(self, work: Awaitable[Any], kind: type[SpireError]) -> SpireError:
        """Let time pass until a call is refused."""
        try:
            answer = self.platform.run(work)
        except kind as error:
            return error
        raise self.failureException(f"not refused: {answer}")

    def later(self, work: Any) -> "Deferred[Any]":
        """Begin a call without waiting for its answer."""
        return Deferred.fromCoroutine(work)

    def advance(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / 0.01)):
            self.platform.advance(0.01)
