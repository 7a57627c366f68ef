"""What an ordered writer promises, whatever its store."""

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from spire.database.errors import CommitUnknown, StoreDown, StoreFault
from spire.database.ordered_writer import Fenced, OrderedWriter, WriterRow, WriterStopped, WriterStore
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.testing.clock import ManualClock


class FaultyStore:
    """A writer's store in front of another, which loses what the test says, before or after it was done."""

    def __init__(self, store: WriterStore[str]) -> None:
        self.store = store
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.attempts: list[tuple[int, list[str]]] = []

    async def take_over(self) -> WriterRow:
        """Fail first, if told so."""
        self.fail(self.before)
        return await self.store.take_over()

    async def commit(self, row: WriterRow, items: Any) -> None:
        """Fail before or after the commit, if told so."""
        self.attempts.append((row.batch, list(items)))
        self.fail(self.before)
        await self.store.commit(row, items)
        self.fail(self.after)

    def fail(self, errors: list[Exception]) -> None:
        """Raise the next error."""
        if errors:
            raise errors.pop(0)


class OrderedWriterContract:
    """A mixin of tests for trial; the test case makes stores on one schema and reads what is in it."""

    timeout = 10

    def make_store(self) -> WriterStore[str]:
        """Return a new store of the writer `facts`, as a new process would have it."""
        raise NotImplementedError

    def stored(self) -> list[str]:
        """Return the items in the store, in the order of their arrival."""
        raise NotImplementedError

    def make(self, **options: Any) -> OrderedWriter[str]:
        """Return a writer that is not started."""
        self.clock = ManualClock()
        self.writer_metrics = Metrics()
        self.faulty = FaultyStore(self.make_store())
        tasks = Tasks(self.clock, self.writer_metrics)
        return OrderedWriter(
            "facts", self.faulty, clock=self.clock, tasks=tasks, metrics=self.writer_metrics, **options
        )

    async def resting(self) -> None:
        """Wait until the writer waits for its clock."""
        from twisted.internet import reactor

        while not self.clock.reactor.getDelayedCalls():
            await deferLater(reactor, 0)

    async def started(self, **options: Any) -> OrderedWriter[str]:
        """Return a writer that has taken over."""
        writer = self.make(**options)
        await writer.start()
        return writer

    async def test_items_are_stored_in_order_and_told(self) -> None:
        """Each Deferred fires when its item is there; the position is that of the last one."""
        writer = await self.started()
        heard: list[str] = []
        for index, item in enumerate("abc", 11):
            writer.add(item, position=index).addCallback(lambda _, item=item: heard.append(item))
        await writer.flushed()
        self.assertEqual(
            (heard, self.stored(), writer.position, writer.backlog), (["a", "b", "c"], ["a", "b", "c"], 13, 0)
        )

    async def test_one_batch_is_in_flight_and_the_next_gathers(self) -> None:
        """Group commit."""
        writer = await self.started()
        await gatherResults([writer.add(item, position=1) for item in "abcdef"])
        sizes = [len(items) for _, items in self.faulty.attempts]
        self.assertEqual(sum(sizes), 6)
        self.assertLessEqual(len(sizes), 6)
        self.assertEqual([batch for batch, _ in self.faulty.attempts], list(range(1, len(sizes) + 1)))

    async def test_a_batch_has_a_bound(self) -> None:
        """A long backlog goes in pieces."""
        writer = await self.started(max_batch=2)
        self.faulty.before.append(StoreDown("away"))
        adding = [writer.add(item, position=1) for item in "abcde"]
        await self.resting()
        self.clock.advance(1)
        await gatherResults(adding)
        self.assertLessEqual(max(len(items) for _, items in self.faulty.attempts), 2)
        self.assertEqual(self.stored(), list("abcde"))

    async def test_a_commit_whose_answer_was_lost_is_not_written_twice(self) -> None:
        """The same batch is run again, finds itself in the row, and counts as committed."""
        writer = await self.started()
        self.faulty.after.append(CommitUnknown("lost during commit"))
        adding = writer.add("a", position=1)
        await self.resting()
        self.assertFalse(adding.called)
        self.clock.advance(1)
        await adding
        await writer.add("b", position=2)
        self.assertEqual(self.stored(), ["a", "b"])
        self.assertEqual([batch for batch, _ in self.faulty.attempts], [1, 1, 2])

    async def test_a_commit_that_never_arrived_is_run_again(self) -> None:
        """The same batch with the same content, whatever was added meanwhile."""
        writer = await self.started()
        self.faulty.before.append(CommitUnknown("lost during commit"))
        first = writer.add("a", position=1)
        second = writer.add("b", position=2)
        await self.resting()
        self.clock.advance(1)
        await gatherResults([first, second])
        self.assertEqual(self.faulty.attempts[0], self.faulty.attempts[1])
        self.assertEqual(self.stored(), ["a", "b"])

    async def test_while_the_store_is_away_items_wait(self) -> None:
        """And `delay_seconds` says for how long."""
        writer = await self.started()
        self.faulty.before += [StoreDown("away")] * 3
        adding = writer.add("a", position=1)
        await self.resting()
        self.assertEqual(writer.delay_seconds, 0.0)
        self.clock.advance(0.05)
        await self.resting()
        self.clock.advance(0.1)
        await self.resting()
        self.assertAlmostEqual(writer.delay_seconds, 0.15)
        self.clock.advance(0.2)
        await adding
        self.assertEqual(self.stored(), ["a"])
        self.assertEqual(writer.delay_seconds, 0.0)
        self.assertEqual(self.writer_metrics.value("spire_writer_retries_total", writer="facts"), 3)

    async def test_what_the_store_refuses_is_neither_dropped_nor_overtaken(self) -> None:
        """It is tried again until somebody has mended the store."""
        writer = await self.started()
        self.faulty.before.append(StoreFault("no such table"))
        told: list[str | None] = []
        writer.on_refused(told.append)
        first, second = writer.add("a", position=1), writer.add("b", position=2)
        await self.resting()
        self.assertEqual(told, ["the store refuses what facts writes, which waits: no such table"])
        self.clock.advance(4.9)
        self.assertEqual((first.called, second.called), (False, False))
        self.clock.advance(0.2)
        await gatherResults([first, second])
        self.assertEqual(self.stored(), ["a", "b"])
        self.assertEqual(told[1:], [None])

    async def test_a_fault_that_is_no_store_error_is_told_and_tried_again(self) -> None:
        """Whatever was wrong with writing the batch; nothing is lost, and what came later follows it."""
        writer = await self.started()
        self.faulty.before.append(ValueError("no such number"))
        told: list[str | None] = []
        writer.on_refused(told.append)
        first = writer.add("a", position=1)
        await self.resting()
        self.assertEqual(told, ["what facts writes fails and waits: ValueError: no such number"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        second = writer.add("b", position=2)
        self.clock.advance(4.9)
        self.assertEqual((first.called, second.called), (False, False))
        self.clock.advance(0.2)
        await gatherResults([first, second])
        self.assertEqual((self.stored(), told[1:], writer.delay_seconds), (["a", "b"], [None], 0.0))

    async def test_a_second_process_fences_the_first(self) -> None:
        """The first stops at its next batch, fails what waits, and tells."""
        old = await self.started()
        await old.add("a", position=1)
        told: list[str] = []
        old.on_fenced(lambda: told.append("fenced"))
        new = await self.started()
        self.assertEqual(new.position, 1)
        with self.assertRaises(Fenced):
            await old.add("lost", position=2)
        await new.add("b", position=2)
        self.assertEqual((self.stored(), told, old.is_fenced), (["a", "b"], ["fenced"], True))
        with self.assertRaises(Fenced):
            await old.add("late", position=3)

    async def test_a_new_process_goes_on_where_the_row_says(self) -> None:
        """Its position tells which part of the journal must be written again."""
        await (await self.started()).add("a", position=7)
        new = await self.started()
        self.assertEqual(new.position, 7)
        with self.assertRaises(ValueError):
            new.add("again", position=6)
        await new.add("b", position=8)
        self.assertEqual(self.stored(), ["a", "b"])

    async def test_start_waits_for_the_store(self) -> None:
        """However long."""
        writer = self.make()
        self.faulty.before += [StoreDown("away")] * 2
        starting = Deferred.fromCoroutine(writer.start())
        self.assertFalse(starting.called)
        self.clock.advance(1)
        self.clock.advance(1)
        row = await starting
        self.assertEqual((row.token, row.batch, row.position), (1, 0, 0))

    async def test_stop_fails_what_waits(self) -> None:
        """A journal still has it."""
        writer = await self.started()
        self.faulty.before.append(StoreDown("away"))
        adding = writer.add("a", position=1)
        await self.resting()
        writer.stop()
        with self.assertRaises(WriterStopped):
            await adding
        self.clock.advance(10)
        self.assertEqual(self.stored(), [])

    async def test_before_it_has_taken_over_it_takes_nothing(self) -> None:
        """It would have no token."""
        with self.assertRaises(WriterStopped):
            self.make().add("a", position=1)
