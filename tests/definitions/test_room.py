"""The Definitions Server and its clients over a network in memory."""

import datetime
import shutil
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.database.errors import StoreDown
from spire.definitions.client import DefinitionsClient
from spire.definitions.commands import LoadDataset
from spire.definitions.files import default_directory, load_datasets
from spire.definitions.instruments import Instrument
from spire.definitions.memory import MemoryDefinitionsStore
from spire.definitions.responders import DefinitionsAvatars
from spire.definitions.server import DefinitionsService
from spire.definitions.values import Dataset, SessionKind
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock
from spire.testing.network import MemoryNetwork
from spire.values.codes import Currency, Venue
from spire.values.environment import Environment
from spire.values.time import parse_timestamp
from spire.wire.addresses import FixedAddresses
from spire.wire.client_session import ClientSession
from spire.wire.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from spire.wire.publisher import Publisher
from spire.wire.server_session import ServerFactory
from spire.wire.ticket_credentials import TicketCredentials
from tests.definitions.test_instruments import draft
from tests.wire.support import Tickets

SERVICE = "definitions_service"
FIRST, SECOND = "127.0.0.1:20200", "127.0.0.1:20201"
SHIPPED = 16


class BrokenStore(MemoryDefinitionsStore):
    """A memory store that can be away."""

    is_down = False

    async def instruments(self, after_id: int = 0) -> tuple[Instrument, ...]:
        """Answer, or be away."""
        if self.is_down:
            raise StoreDown("the database is away")
        return await super().instruments(after_id)

    async def instruments_version(self) -> int:
        """Answer, or be away."""
        if self.is_down:
            raise StoreDown("the database is away")
        return await super().instruments_version()


class RoomTestCase(SynchronousTestCase):
    """One server, to begin with, and what is needed to be its client."""

    def setUp(self) -> None:
        """Start the server."""
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tasks = Tasks(self.clock, self.metrics)
        self.network = MemoryNetwork(self.clock)
        self.store = BrokenStore()
        self.directory = default_directory()
        self.service = self.serve("instance-1", FIRST)

    def serve(self, instance_id: str, address: str) -> DefinitionsService:
        """Start a server on the store."""
        service = DefinitionsService(
            store=self.store,
            load=lambda: load_datasets(self.directory, Environment.DEMO),
            publisher=Publisher(clock=self.clock, tasks=self.tasks, metrics=Metrics()),
            clock=self.clock,
            instance_id=instance_id,
            is_administrator=lambda identity: "administrator" in identity.roles,
        )
        self.result(service.start())
        factory = ServerFactory(
            service=SERVICE,
            instance_id=instance_id,
            epoch=1,
            environment=Environment.DEMO,
            avatars=DefinitionsAvatars(service, clock=self.clock, tasks=self.tasks),
            verifier=Tickets(self.clock).verifier(),
            clock=self.clock,
            tasks=self.tasks,
            metrics=Metrics(),
        )
        self.port = self.successResultOf(self.network.listen(address, SERVICE, factory))
        return service

    def connect(self, address: str = FIRST, roles: tuple[str, ...] = ("trader",)) -> ClientSession:
        """Start a client session."""
        tickets = Tickets(self.clock, audiences=(SERVICE,), roles=frozenset(roles))
        session = ClientSession(
            SERVICE,
            addresses=FixedAddresses(SERVICE, [address], Environment.DEMO),
            connector=self.network,
            credentials=TicketCredentials(tickets, self.tasks),
            environment=Environment.DEMO,
            clock=self.clock,
            tasks=self.tasks,
            metrics=Metrics(),
            chance=lambda: 0.0,
        )
        session.start()
        self.addCleanup(lambda: self.result(session.stop()))
        return session

    def follow(self, address: str = FIRST, roles: tuple[str, ...] = ("trader",)) -> DefinitionsClient:
        """Return a client that has everything."""
        client = DefinitionsClient(self.connect(address, roles))
        self.result(client.when_ready())
        return client

    def administrator(self, address: str = FIRST) -> DefinitionsClient:
        """Return a client that may add instruments."""
        return self.follow(address, ("administrator",))

    def result(self, work: Awaitable[Any]) -> Any:
        """Let the network move until a call is answered."""
        return self.successResultOf(self.moved(work))

    def refusal(self, work: Awaitable[Any], kind: type[Exception]) -> Any:
        """Let the network move until a call is refused."""
        return self.failureResultOf(self.moved(work), kind).value

    def moved(self, work: Awaitable[Any]) -> Deferred[Any]:
        """Start a call and let the network move."""
        answer: Deferred[Any] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]
        self.clock.advance(0.5)
        return answer


class ViewTests(RoomTestCase):
    """What a client holds."""

    def test_everything_arrives(self) -> None:
        """Each dataset has the rows of its file."""
        client = self.follow()
        self.assertTrue(client.is_ready)
        sizes = (len(client.countries), len(client.venues), len(client.schedules), len(client.instruments.all()))
        self.assertEqual(sizes, (249, 20, 2, SHIPPED))
        self.assertEqual(client.versions["venues"].version, 1)
        self.assertEqual(client.versions["instruments"].version, SHIPPED)

    def test_venues_are_found_in_three_ways(self) -> None:
        """By MIC, by number and by tape letter."""
        venues = self.follow().venues
        found = (venues.by_mic("ARCX").number, venues.by_number(9).mic, venues.by_letter("P").mic)
        self.assertEqual(found, (9, "ARCX", "ARCX"))
        self.assertRaises(NotFound, venues.by_number, 99)
        self.assertRaises(NotFound, venues.by_letter, "?")

    def test_instruments_are_found_in_two_ways(self) -> None:
        """By ticker and by id; the first of the file is 1."""
        instruments = self.follow().instruments
        bac = instruments.by_ticker("BAC.XNYS")
        self.assertEqual((bac.instrument_id, bac.isin), (1, "US0605051046"))
        self.assertEqual(instruments.by_id(1), bac)

    def test_an_unknown_ticker_names_the_command(self) -> None:
        """NOT_FOUND says what an administrator does."""
        error = self.assertRaises(NotFound, self.follow().instruments.by_ticker, "NONE.XNYS")
        self.assertIn("AddInstrument", error.message)

    def test_a_venue_has_its_calendar(self) -> None:
        """The calendar of XNYS knows the regular session of the recorded day."""
        calendar = self.follow().schedules.calendar_of("XNYS")
        session = calendar.session_at(parse_timestamp("2013-10-08T14:00:00Z"))
        assert session is not None
        self.assertEqual((session.kind, session.trade_date), (SessionKind.REGULAR, datetime.date(2013, 10, 8)))

    def test_an_order_without_destination_has_a_preferred_one(self) -> None:
        """XNYS goes to SIMULATION; a venue that nobody prefers has none."""
        destinations = self.follow().destinations
        preferred = destinations.preferred_for("XNYS")
        assert preferred is not None
        self.assertEqual((preferred.name, preferred.driver), ("SIMULATION", "simulation"))
        self.assertIsNone(destinations.preferred_for("XPHL"))

    def test_rates_convert_or_say_that_they_do_not(self) -> None:
        """EUR to CAD crosses USD; nothing is known of AUD."""
        rates = self.follow().rates
        self.assertIsNotNone(rates.conversion(Currency("EUR"), Currency("CAD")))
        self.assertIsNone(rates.conversion(Currency("AUD"), Currency("USD")))

    def test_before_the_first_snapshot_nothing_is_guessed(self) -> None:
        """Lookups are UNAVAILABLE, not NOT_FOUND, while nothing has been received."""
        client = DefinitionsClient(self.connect())
        self.assertFalse(client.is_ready)
        self.assertRaises(Unavailable, client.instruments.by_ticker, "BAC.XNYS")
        self.assertRaises(Unavailable, client.venues.by_number, 8)

    def test_a_lost_connection_leaves_what_was_received(self) -> None:
        """While the server is away the views answer, and follow again when it is back."""
        client = self.follow()
        self.network.faults.refuse.add(FIRST)
        self.network.drop(SERVICE)
        self.clock.advance(0.1)
        self.assertEqual((client.is_ready, client.is_live), (True, False))
        self.assertEqual(client.instruments.by_ticker("IBM.XNYS").instrument_id, 2)
        self.network.faults.refuse.clear()
        self.clock.advance(5)
        self.assertTrue(client.is_live)

    def test_a_restarted_server_is_followed_with_what_it_has_then(self) -> None:
        """Changed files at a restart reach clients that stayed, and are the next version."""
        client = self.follow()
        self.directory = Path(self.mktemp())
        shutil.copytree(default_directory(), self.directory)
        path = self.directory / "venues.toml"
        path.write_text(path.read_text(encoding="utf-8").replace('name = "Nasdaq"', 'name = "Nasdaq Inc"'), "utf-8")
        self.successResultOf(self.port.stopListening())
        self.network.drop(SERVICE)
        self.serve("instance-2", FIRST)
        self.clock.advance(5)
        self.assertEqual(client.venues.by_mic("XNAS").name, "Nasdaq Inc")
        self.assertEqual(client.versions["venues"].version, 2)
        self.assertEqual(client.versions["schedules"].version, 1)


class AddInstrumentTests(RoomTestCase):
    """Adding instruments."""

    def test_an_added_instrument_reaches_everybody(self) -> None:
        """The answer has the next id, and other clients see it."""
        watcher = self.follow()
        added = self.result(self.administrator().add_instrument(draft("KO.XNYS", "Coca-Cola")))
        self.assertEqual(added.instrument_id, SHIPPED + 1)
        self.assertEqual(watcher.instruments.by_ticker("KO.XNYS"), added)
        self.assertEqual(watcher.versions["instruments"].version, SHIPPED + 1)

    def test_only_an_administrator_adds(self) -> None:
        """A trader is FORBIDDEN, and nothing is added."""
        trader = self.follow()
        self.refusal(trader.add_instrument(draft("KO.XNYS")), Forbidden)
        self.assertRaises(NotFound, trader.instruments.by_ticker, "KO.XNYS")

    def test_the_same_again_is_the_same_instrument(self) -> None:
        """A repeated call answers what is there."""
        administrator = self.administrator()
        first = self.result(administrator.add_instrument(draft("KO.XNYS")))
        self.assertEqual(self.result(administrator.add_instrument(draft("KO.XNYS"))), first)

    def test_a_taken_ticker_is_a_conflict(self) -> None:
        """Another instrument under a ticker in force is refused."""
        error = self.refusal(self.administrator().add_instrument(draft("IBM.XNYS", "Another")), Conflict)
        self.assertEqual(error.details["instrument_id"], "2")

    def test_an_unknown_venue_is_invalid(self) -> None:
        """References must exist, and the argument is named."""
        wrong = evolve(draft("KO.XNYS"), listing_venue=Venue("XXXX"))
        error = self.refusal(self.administrator().add_instrument(wrong), Invalid)
        self.assertEqual(error.details["argument"], "draft.listing_venue")

    def test_an_unknown_tick_table_is_invalid(self) -> None:
        """References must exist, and the argument is named."""
        wrong = evolve(draft("KO.XNYS"), tick_table="NONE")
        error = self.refusal(self.administrator().add_instrument(wrong), Invalid)
        self.assertEqual(error.details["argument"], "draft.tick_table")

    def test_without_the_database_it_is_unavailable(self) -> None:
        """Nothing is added while the store is away; reading goes on; later it works."""
        administrator = self.administrator()
        self.store.is_down = True
        self.refusal(administrator.add_instrument(draft("KO.XNYS")), Unavailable)
        self.assertEqual(len(self.result(administrator.find_instruments("ibm"))), 1)
        self.store.is_down = False
        self.assertEqual(self.result(administrator.add_instrument(draft("KO.XNYS"))).instrument_id, SHIPPED + 1)

    def test_a_second_server_sees_what_the_first_added(self) -> None:
        """Servers on one store give out ids from one counter and follow each other."""
        other = self.serve("instance-2", SECOND)
        watcher = self.follow(SECOND)
        added = self.result(self.administrator(FIRST).add_instrument(draft("KO.XNYS")))
        self.result(other.refresh())
        self.assertEqual(watcher.instruments.by_ticker("KO.XNYS"), added)
        again = self.result(self.administrator(SECOND).add_instrument(draft("PEP.XNYS")))
        self.assertEqual(again.instrument_id, SHIPPED + 2)

    def test_a_refresh_without_the_database_changes_nothing(self) -> None:
        """The server goes on serving what it has."""
        client = self.follow()
        self.store.is_down = True
        self.result(self.service.refresh())
        self.assertEqual(len(client.instruments.all()), SHIPPED)


class QueryTests(RoomTestCase):
    """Reading without following."""

    def test_a_dataset_is_read_in_pages(self) -> None:
        """More rows than fit one answer come complete and in the order of their keys."""
        administrator = self.administrator()
        for number in range(300):
            self.result(administrator.add_instrument(draft(f"T{number}.XNYS", "x" * 200)))
        version, rows = self.result(administrator.load_dataset(Dataset.INSTRUMENTS))
        self.assertEqual(version, SHIPPED + 300)
        self.assertEqual([row.instrument_id for row in rows], list(range(1, SHIPPED + 301)))

    def test_every_dataset_can_be_read(self) -> None:
        """What LoadDataset answers equals what is followed."""
        client = self.follow()
        loaded = {dataset: self.result(client.load_dataset(dataset))[1] for dataset in Dataset}
        self.assertEqual(set(loaded[Dataset.COUNTRIES]), set(client.countries))
        self.assertEqual(set(loaded[Dataset.SCHEDULES]), set(client.schedules))
        self.assertEqual({dataset for dataset, rows in loaded.items() if not rows}, set())

    def test_an_unknown_dataset_is_not_found(self) -> None:
        """The refusal lists what there is."""
        error = self.refusal(self.connect_ready().call(LoadDataset, dataset="planets"), NotFound)
        self.assertIn("venues", error.message)

    def test_a_cursor_that_is_no_key_is_invalid(self) -> None:
        """Instruments are read from an id on."""
        error = self.refusal(self.connect_ready().call(LoadDataset, dataset="instruments", after="x"), Invalid)
        self.assertEqual(error.details["argument"], "after")

    def test_instruments_are_found_by_name(self) -> None:
        """Part of a name in any case is enough, over several pages if need be."""
        administrator = self.administrator()
        for number in range(120):
            self.result(administrator.add_instrument(draft(f"T{number}.XNYS", "Same Name")))
        self.assertEqual(len(self.result(administrator.find_instruments("same name", limit=1000))), 120)
        self.assertEqual(len(self.result(administrator.find_instruments("same name", limit=5))), 5)

    def connect_ready(self) -> ClientSession:
        """Return a session that is ready."""
        session = self.connect()
        self.result(session.when_ready())
        return session


class StartTests(RoomTestCase):
    """What a start checks."""

    def test_a_venue_number_that_changed_ends_the_start(self) -> None:
        """Stored records say what a number means."""
        self.directory = Path(self.mktemp())
        shutil.copytree(default_directory(), self.directory)
        path = self.directory / "venues.toml"
        path.write_text(path.read_text(encoding="utf-8").replace("number = 19", "number = 20"), "utf-8")
        failure = self.assertRaises(AssertionError, self.serve, "instance-2", SECOND)
        self.assertIn("XISX", str(failure))

    def test_a_start_without_the_database_may_be_repeated(self) -> None:
        """StoreDown at start leaves a service that can be started again."""
        self.store.is_down = True
        self.refusal(self.service.start(), StoreDown)
        self.store.is_down = False
        self.result(self.service.start())
        self.assertEqual(len(self.follow().instruments.all()), SHIPPED)

    def test_a_restart_adds_what_is_new_in_the_file(self) -> None:
        """New instruments of the file get new ids; the others keep theirs."""
        self.directory = Path(self.mktemp())
        shutil.copytree(default_directory(), self.directory)
        path = self.directory / "instruments.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("ACME.DEMO", "ZETA.DEMO"), encoding="utf-8")
        self.serve("instance-2", SECOND)
        instruments = self.follow(SECOND).instruments
        self.assertEqual(instruments.by_ticker("ZETA.DEMO").instrument_id, SHIPPED + 1)
        self.assertEqual(instruments.by_ticker("ACME.DEMO").instrument_id, 3)
