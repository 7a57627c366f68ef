"""The wrapper's own rules, on a driver that does what the test says and without threads."""

from collections.abc import Callable
from typing import Any

import pymysql
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spire.database.address import DatabaseAddress
from spire.database.connector import Connector, Login
from spire.database.database import Database, DatabaseLimits, DatabaseState
from spire.database.errors import CommitUnknown, NotUnique, StoreBusy, StoreClosed, StoreDown, StoreFault, StoreTimeout
from spire.database.transaction import Transaction
from spire.runtime.metrics import Metrics
from spire.testing.clock import ManualClock
from tests.database.fake_driver import DEADLOCK, LOST, FakeDriver, FakeServer, SteppedPool


def write(transaction: Transaction) -> str:
    """Write one row."""
    transaction.execute("UPDATE t SET x = 1")
    return "written"


def read(transaction: Transaction) -> list[tuple[int, ...]]:
    """Read one row."""
    return transaction.fetch("SELECT x FROM t")


class DatabaseCase(SynchronousTestCase):
    """A database over two fake servers."""

    def setUp(self) -> None:
        self.first, self.second = FakeServer(), FakeServer()
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.slept: list[float] = []
        self.pools: list[SteppedPool] = []

        def make_pool(connector: Connector, reactor: object, connections: int) -> SteppedPool:
            self.pools.append(SteppedPool(connector, reactor, connections))
            return self.pools[-1]

        connector = Connector(
            [DatabaseAddress.parse("first:3306"), DatabaseAddress.parse("second:3306")],
            Login(user="u", password="p", schema="s"),
            monotonic=self.clock.monotonic,
            driver=FakeDriver(first=self.first, second=self.second),
        )
        self.database = Database(
            connector,
            clock=self.clock,
            metrics=self.metrics,
            limits=DatabaseLimits(waiting=3, repeats=2, repeat_seconds=1.0, beat_seconds=60.0),
            make_pool=make_pool,
            sleep=self.slept.append,
            jitter=lambda: 0.5,
        )

    def open(self) -> None:
        """Start, and forget what that sent."""
        self.successResultOf(self.start())
        self.first.log.clear()
        self.second.log.clear()

    def start(self) -> Deferred[None]:
        """Start the database."""
        return Deferred.fromCoroutine(self.database.start())

    def run_now(self, name: str, function: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        """Run a transaction; the Deferred has its outcome."""
        return Deferred.fromCoroutine(self.database.run(name, function, *arguments))


class TransactionTests(DatabaseCase):
    """One call of `run`."""

    def test_a_transaction_is_committed_and_its_result_returned(self) -> None:
        """The statements go out, then COMMIT."""
        self.open()
        self.assertEqual(self.successResultOf(self.run_now("w", write)), "written")
        self.assertEqual(self.first.log, ["UPDATE t SET x = 1", "COMMIT"])

    def test_a_fault_in_the_function_rolls_back(self) -> None:
        """Whatever the function raises reaches the caller as it is."""
        self.open()

        def fail(transaction: Transaction) -> None:
            write(transaction)
            raise KeyError("ours")

        self.failureResultOf(self.run_now("w", fail), KeyError)
        self.assertEqual(self.first.log[-1], "ROLLBACK")

    def test_a_deadlock_is_rolled_back_and_repeated_with_jitter(self) -> None:
        """The whole function runs again, after growing pauses in the worker thread."""
        self.open()
        self.first.fail("UPDATE", DEADLOCK, times=2)
        self.assertEqual(self.successResultOf(self.run_now("w", write)), "written")
        self.assertEqual(self.slept, [2.0, 4.0])
        self.assertEqual(self.first.log.count("ROLLBACK"), 2)
        self.assertEqual(self.metrics.value("spire_database_retries_total", transaction="w"), 2)

    def test_too_many_deadlocks_are_busy(self) -> None:
        """After the last repeat the caller hears StoreBusy."""
        self.open()
        self.first.fail("UPDATE", DEADLOCK, times=3)
        self.failureResultOf(self.run_now("w", write), StoreBusy)

    def test_a_connection_lost_in_a_statement_is_opened_again_once(self) -> None:
        """Nothing was committed, so the function may run again on a new connection."""
        self.open()
        self.first.fail("UPDATE", LOST)
        self.assertEqual(self.successResultOf(self.run_now("w", write)), "written")
        self.assertEqual(self.first.connections, 2)

    def test_a_second_loss_is_told(self) -> None:
        """One reconnect is tried, not two."""
        self.open()
        self.first.fail("UPDATE", LOST, times=2)
        self.failureResultOf(self.run_now("w", write), StoreDown)

    def test_a_commit_without_an_answer_is_never_repeated(self) -> None:
        """The change may be in the store: only the caller can know what to do."""
        self.open()
        self.first.fail("COMMIT", LOST)
        self.failureResultOf(self.run_now("w", write), CommitUnknown)
        self.assertEqual(self.first.log.count("UPDATE t SET x = 1"), 1)

    def test_a_read_that_loses_its_commit_is_repeated(self) -> None:
        """Nothing can have been written, so nothing is unknown."""
        self.open()
        self.first.fail("COMMIT", LOST)
        self.assertEqual(self.successResultOf(self.run_now("r", read)), [(1,)])

    def test_a_read_timeout_is_told_and_not_repeated(self) -> None:
        """A hung server is not asked twice by the same caller."""
        self.open()
        self.first.fail("UPDATE", pymysql.OperationalError(2013, "Lost connection (timed out)"))
        self.failureResultOf(self.run_now("w", write), StoreTimeout)
        self.assertEqual(self.first.connections, 1)

    def test_a_duplicate_names_its_key(self) -> None:
        """MySQL 8 writes table.key, MariaDB the key: we answer the key."""
        self.open()
        self.first.fail("UPDATE", pymysql.IntegrityError(1062, "Duplicate entry '1' for key 't.by_name'"))
        failure = self.failureResultOf(self.run_now("w", write), NotUnique)
        self.assertEqual(failure.value.key, "by_name")

    def test_a_function_may_catch_a_duplicate(self) -> None:
        """The store's errors are raised inside the function too, and the transaction goes on."""
        self.open()
        self.first.fail("UPDATE", pymysql.IntegrityError(1062, "Duplicate entry '1' for key 'PRIMARY'"))

        def careful(transaction: Transaction) -> str:
            try:
                return write(transaction)
            except NotUnique:
                return "was there"

        self.assertEqual(self.successResultOf(self.run_now("w", careful)), "was there")

    def test_wrong_sql_is_a_fault(self) -> None:
        """It is neither repeated nor called an outage."""
        self.open()
        self.first.fail("UPDATE", pymysql.ProgrammingError(1146, "Table 's.t' doesn't exist"))
        failure = self.failureResultOf(self.run_now("w", write), StoreFault)
        self.assertEqual(failure.value.code, 1146)
        self.assertTrue(self.database.is_up)

    def test_executemany_refuses_what_would_go_row_by_row(self) -> None:
        """VALUES must hold nothing but places."""
        self.open()
        bad = "INSERT INTO t (a, b) VALUES (%s, NOW())"
        self.failureResultOf(self.run_now("w", lambda txn: txn.executemany(bad, [(1,)])), ValueError)
        good = "INSERT INTO t (a, b) VALUES (%s, %s) ON DUPLICATE KEY UPDATE b = VALUES(b)"
        self.successResultOf(self.run_now("w", lambda txn: txn.executemany(good, [(1, 2)])))


class AfterCommitTests(DatabaseCase):
    """Callbacks run when the change is in the store, and only then."""

    def test_callbacks_run_in_order_before_the_caller_goes_on(self) -> None:
        """They see a committed store."""
        self.open()
        heard: list[object] = []

        def change(transaction: Transaction) -> None:
            transaction.after_commit(heard.append, "one")
            transaction.after_commit(lambda: heard.append(tuple(self.first.log)))
            write(transaction)

        self.run_now("w", change).addCallback(lambda _: heard.append("caller"))
        self.assertEqual(heard, ["one", ("UPDATE t SET x = 1", "COMMIT"), "caller"])

    def test_a_repeated_transaction_calls_back_once(self) -> None:
        """What an attempt wanted that was rolled back is forgotten."""
        self.open()
        heard: list[str] = []

        def change(transaction: Transaction) -> None:
            transaction.after_commit(heard.append, "committed")
            write(transaction)

        self.first.fail("UPDATE", DEADLOCK)
        self.successResultOf(self.run_now("w", change))
        self.assertEqual(heard, ["committed"])

    def test_a_failing_callback_hides_neither_the_commit_nor_the_next(self) -> None:
        """It is logged; the change is there."""
        self.open()
        heard: list[str] = []

        def change(transaction: Transaction) -> str:
            transaction.after_commit(lambda: 1 // 0)
            transaction.after_commit(heard.append, "next")
            return "done"

        self.assertEqual(self.successResultOf(self.run_now("w", change)), "done")
        self.assertEqual(heard, ["next"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ReachabilityTests(DatabaseCase):
    """Servers that are away, one or all."""

    def test_the_next_server_of_the_list_is_used(self) -> None:
        """A connection that broke is opened on whichever server answers, and stays there."""
        self.open()
        self.first.is_down = True
        self.assertEqual(self.successResultOf(self.run_now("w", write)), "written")
        self.first.is_down = False
        self.successResultOf(self.run_now("w", write))
        self.assertEqual(self.second.log.count("COMMIT"), 2)

    def test_a_server_that_became_read_only_is_left(self) -> None:
        """After a fail-over the old primary still answers, and cannot write."""
        self.open()
        self.first.fail("UPDATE", pymysql.OperationalError(1290, "running with the --read-only option"))
        self.assertEqual(self.successResultOf(self.run_now("w", write)), "written")
        self.assertIn("COMMIT", self.second.log)

    def test_start_does_not_need_a_server(self) -> None:
        """It starts, is not up, and callers hear StoreDown."""
        self.first.is_down = self.second.is_down = True
        self.successResultOf(self.start())
        self.assertIs(self.database.state, DatabaseState.OPEN)
        self.assertFalse(self.database.is_up)
        self.failureResultOf(self.run_now("w", write), StoreDown)

    def test_wrong_credentials_end_the_start(self) -> None:
        """Waiting would not help."""
        self.first.fail("SELECT 1", pymysql.OperationalError(1045, "Access denied for user"))
        self.failureResultOf(self.start(), StoreFault)

    def test_while_all_are_away_callers_do_not_wait_for_a_thread(self) -> None:
        """Once the loss is known, a call fails before it reaches the pool."""
        self.open()
        self.first.is_down = self.second.is_down = True
        self.failureResultOf(self.run_now("w", write), StoreDown)
        self.pools[0].is_held = True
        self.failureResultOf(self.run_now("w", write), StoreDown)
        self.assertEqual(self.pools[0].held, [])

    def test_a_probe_finds_the_server_again(self) -> None:
        """Every half second; observers hear both changes, once each."""
        self.open()
        heard: list[bool] = []
        self.database.on_state(heard.append)
        self.first.is_down = self.second.is_down = True
        self.failureResultOf(self.run_now("w", write), StoreDown)
        self.clock.advance(2.0)
        self.assertEqual(heard, [False])
        self.first.is_down = False
        self.clock.advance(0.5)
        self.assertEqual(heard, [False, True])
        self.assertEqual(self.successResultOf(self.run_now("w", write)), "written")

    def test_while_a_probe_has_no_answer_the_store_stays_away(self) -> None:
        """A server that hangs takes connections: callers must not queue up behind the probe."""
        self.open()
        seen: list[bool] = []
        run = self.first.run

        def watched(statement: str) -> None:
            seen.append(self.database.is_up)
            run(statement)

        self.first.fail("UPDATE", pymysql.OperationalError(2013, "Lost connection (timed out)"))
        self.failureResultOf(self.run_now("w", write), StoreTimeout)
        self.patch(self.first, "run", watched)
        self.clock.advance(0)
        self.assertEqual((seen, self.database.is_up), ([False, False], True))

    def test_a_loss_is_noticed_while_nobody_calls(self) -> None:
        """A server that only listens must say that it is degraded, too."""
        self.open()
        heard: list[bool] = []
        self.database.on_state(heard.append)
        self.first.is_down = self.second.is_down = True
        self.clock.advance(60.0)
        self.assertEqual(heard, [False])

    def test_an_idle_connection_is_asked_before_it_is_used(self) -> None:
        """A server that closed it meanwhile costs the caller nothing, not even a write that it cannot repeat."""
        self.open()
        self.clock.advance(6.0)
        self.first.fail("PING", LOST)
        self.assertEqual(self.successResultOf(self.run_now("w", write)), "written")
        self.assertEqual(self.first.log, ["PING", "UPDATE t SET x = 1", "COMMIT"])
        self.assertEqual(self.first.connections, 2)


class BoundTests(DatabaseCase):
    """Queue, patience and stop."""

    def test_a_full_queue_refuses(self) -> None:
        """The fourth of three is told at once."""
        self.open()
        self.pools[0].is_held = True
        waiting = [self.run_now("w", write) for _ in range(3)]
        self.failureResultOf(self.run_now("w", write), StoreBusy)
        self.pools[0].release()
        self.assertEqual([self.successResultOf(each) for each in waiting], ["written"] * 3)

    def test_a_call_does_not_wait_for_ever_and_then_does_not_run(self) -> None:
        """Given up means never begun."""
        self.open()
        self.pools[0].is_held = True
        waiting = self.run_now("w", write)
        self.clock.advance(5.0)
        self.failureResultOf(waiting, StoreBusy)
        self.pools[0].release()
        self.assertEqual(self.first.log, [])

    def test_stop_waits_for_what_runs_and_refuses_the_rest(self) -> None:
        """Draining, then closed."""
        self.open()
        self.pools[0].is_held = True
        running = self.run_now("w", write)
        stopping = Deferred.fromCoroutine(self.database.stop())
        self.assertIs(self.database.state, DatabaseState.DRAINING)
        self.failureResultOf(self.run_now("w", write), StoreClosed)
        self.assertNoResult(stopping)
        self.pools[0].release()
        self.successResultOf(stopping)
        self.assertEqual(self.successResultOf(running), "written")
        self.assertIs(self.database.state, DatabaseState.CLOSED)
        self.assertTrue(self.pools[0].is_closed)

    def test_before_start_there_is_nothing_to_run_on(self) -> None:
        """It says so."""
        self.failureResultOf(self.run_now("w", write), StoreClosed)
