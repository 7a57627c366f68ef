"""The journal on real files, with writing in the calling thread."""

import errno
import os
import resource
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from spire.database import frames as coding
from spire.database import journal as journal_module
from spire.database.journal import (
    Frame,
    Journal,
    JournalCorrupt,
    JournalFailed,
    JournalFull,
    JournalInUse,
    JournalMismatch,
    JournalTrimmed,
)
from spire.runtime.metrics import Metrics
from spire.testing.clock import ManualClock
from spire.values.environment import Environment

R = TypeVar("R")


class Threads:
    """Runs in place, or when the test says so."""

    def __init__(self) -> None:
        self.is_held = False
        self.held: list[Callable[[], None]] = []
        self.file_limit: int | None = None

    def __call__(self, function: Callable[..., R], /, *arguments: Any) -> Awaitable[R]:
        if not self.is_held:
            return execute(self._run, function, *arguments)
        result: Deferred[R] = Deferred()

        def run() -> None:
            execute(self._run, function, *arguments).addBoth(result.callback)

        self.held.append(run)
        return result

    def _run(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run with a limit on the size of files, as a full disk would have it; trial's own log must not meet it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_limit, hard))
        try:
            return function(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def step(self) -> None:
        """Run the oldest function that is held."""
        self.held.pop(0)()


class JournalCase(SynchronousTestCase):
    """Journals in a directory of the test's own."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.clock = ManualClock()
        self.threads = Threads()
        self.metrics = Metrics()

    def make(self, *, epoch: int = 1, environment: Environment = Environment.DEMO, file_bytes: int = 4096) -> Journal:
        """Make a journal that is not open yet."""
        return Journal(
            self.directory,
            "facts",
            environment=environment,
            epoch=epoch,
            clock=self.clock,
            metrics=self.metrics,
            run_in_thread=self.threads,
            file_bytes=file_bytes,
        )

    def opened(self, **options: Any) -> tuple[Journal, list[Frame]]:
        """Make and open a journal, and return what it held."""
        journal = self.make(**options)
        frames = list(journal.open())
        self.addCleanup(lambda: self.close(journal))
        return journal, frames

    def close(self, journal: Journal) -> None:
        """Close a journal."""
        self.successResultOf(Deferred.fromCoroutine(journal.close()))

    def crash(self, journal: Journal) -> None:
        """Let go of a journal as a killed process would."""
        journal._files.close()

    @property
    def paths(self) -> list[Path]:
        """The journal's files, oldest first."""
        return sorted(self.directory.glob("*.journal"), key=lambda path: path.name[-28:])


class AppendTests(JournalCase):
    """What is appended is there, in order, after a crash."""

    def test_positions_are_dense_from_one(self) -> None:
        """Each append has the next position."""
        journal, held = self.opened()
        self.assertEqual(held, [])
        self.assertEqual([self.successResultOf(journal.append(b"x")) for _ in range(3)], [1, 2, 3])
        self.assertEqual(journal.position, 3)

    def test_everything_acknowledged_is_read_after_a_crash(self) -> None:
        """Payloads, positions and times come back."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"one"))
        self.clock.advance(2)
        self.successResultOf(journal.append(b""))
        self.crash(journal)
        _, held = self.opened()
        self.assertEqual([(frame.position, frame.payload) for frame in held], [(1, b"one"), (2, b"")])
        self.assertEqual(held[1].time - held[0].time, 2 * 10**9)

    def test_one_group_is_in_flight_and_the_next_gathers(self) -> None:
        """While one group is synced, appends wait; they are then one group and fire in one turn."""
        journal, _ = self.opened()
        self.threads.is_held = True
        fired: list[int] = []
        for _ in range(4):
            journal.append(b"x").addCallback(fired.append)
        self.assertEqual(len(self.threads.held), 1)
        self.threads.step()
        self.assertEqual(fired, [1])
        self.threads.step()
        self.assertEqual(fired, [1, 2, 3, 4])
        self.assertEqual(self.metrics.value("spire_journal_group_seconds_count", journal="facts"), 2)

    def test_append_many_is_one_group(self) -> None:
        """Facts of one turn share a sync."""
        journal, _ = self.opened()
        fired = journal.append_many([b"a", b"b", b"c"])
        self.assertEqual([self.successResultOf(each) for each in fired], [1, 2, 3])
        self.assertEqual(self.metrics.value("spire_journal_group_seconds_count", journal="facts"), 1)

    def test_append_many_is_one_group_however_large(self) -> None:
        """It takes all that is there at once; a torn write leaves nothing of it."""
        self.patch(journal_module, "GROUP_BYTES", 100)
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"kept"))
        journal.append_many([b"x" * 90, b"y" * 90, b"z" * 90])
        self.assertEqual(self.metrics.value("spire_journal_group_seconds_count", journal="facts"), 2)
        self.crash(journal)
        os.truncate(self.paths[0], self.paths[0].stat().st_size - 1)
        self.assertEqual([frame.payload for frame in self.opened()[1]], [b"kept"])

    def test_a_group_that_is_full_ends_before_what_goes_together(self) -> None:
        """What is appended together is not split over two groups, also where a part of it had room."""
        self.patch(journal_module, "GROUP_BYTES", 200)
        journal, _ = self.opened()
        self.threads.is_held = True
        fired: list[int] = []
        for durable in [journal.append(b"first"), journal.append(b"second"), *journal.append_many([b"x" * 60] * 2)]:
            durable.addCallback(fired.append)
        self.threads.step()
        self.threads.step()
        self.assertEqual(fired, [1, 2])
        self.threads.step()
        self.assertEqual(fired, [1, 2, 3, 4])

    def test_append_many_takes_all_or_nothing(self) -> None:
        """One that is too large is refused with those before it."""
        journal, _ = self.opened()
        self.patch(journal_module, "MAX_PAYLOAD_BYTES", 100)
        self.assertRaises(ValueError, journal.append_many, [b"a", b"b" * 101])
        self.assertEqual(journal.append_many([]), [])
        self.assertEqual(self.successResultOf(journal.append(b"c")), 1)

    def test_an_append_from_a_callback_comes_next(self) -> None:
        """A fact that another one leads to stands behind it."""
        journal, _ = self.opened()
        follow: list[Deferred[int]] = []
        journal.append(b"a").addCallback(lambda _: follow.append(journal.append(b"b")))
        self.assertEqual(self.successResultOf(follow[0]), 2)

    def test_files_are_split_by_size(self) -> None:
        """A full file is followed by another; readers see one sequence."""
        journal, _ = self.opened(file_bytes=1000)
        for index in range(10):
            self.successResultOf(journal.append(bytes([index]) * 300))
        self.assertGreater(len(self.paths), 3)
        self.assertEqual([frame.payload[0] for frame in journal.read(4)], [4, 5, 6, 7, 8, 9])
        self.assertEqual([frame.position for frame in journal.read(2, 8)], [3, 4, 5, 6, 7, 8])

    def test_files_are_split_by_date(self) -> None:
        """The first group of a UTC day begins a file that bears its date."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"a"))
        self.clock.advance(86_400)
        self.successResultOf(journal.append(b"b"))
        self.assertEqual([path.name[6:14] for path in self.paths], ["20131008", "20131009"])
        self.crash(journal)
        self.assertEqual([frame.payload for frame in self.opened()[1]], [b"a", b"b"])

    def test_close_waits_for_what_was_appended(self) -> None:
        """Nothing that was taken is dropped; nothing is taken afterwards."""
        journal, _ = self.opened()
        self.threads.is_held = True
        last = [journal.append(b"a"), journal.append(b"b")][1]
        closing = Deferred.fromCoroutine(journal.close())
        self.assertNoResult(closing)
        self.assertRaises(JournalFailed, journal.append, b"c")
        self.threads.step()
        self.threads.step()
        self.successResultOf(closing)
        self.assertEqual(self.successResultOf(last), 2)

    def test_a_closed_journal_can_be_opened_again(self) -> None:
        """It looks at its files anew, and goes on."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"a"))
        self.close(journal)
        self.assertEqual([frame.payload for frame in journal.open()], [b"a"])
        self.assertEqual(self.successResultOf(journal.append(b"b")), 2)

    def test_a_second_process_is_refused(self) -> None:
        """Two writers would tear each other's frames."""
        self.opened()
        self.assertRaises(JournalInUse, self.make().open)

    def test_another_environment_or_epoch_is_refused(self) -> None:
        """A journal of before a restore must not be replayed into after it."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"a"))
        self.close(journal)
        self.assertRaises(JournalMismatch, self.make(epoch=2).open)
        self.assertRaises(JournalMismatch, self.make(environment=Environment.PAPER).open)
        self.assertEqual(len(self.opened()[1]), 1)


class TrimTests(JournalCase):
    """What the store holds may go; positions never come back."""

    def filled(self) -> Journal:
        """Return a journal of ten frames in several files."""
        journal, _ = self.opened(file_bytes=1000)
        for _ in range(10):
            self.successResultOf(journal.append(b"x" * 300))
        return journal

    def test_only_files_that_are_held_elsewhere_go(self) -> None:
        """A file with one frame behind the position stays whole."""
        journal = self.filled()
        self.successResultOf(journal.trim(4))
        self.assertLessEqual(journal.first_position, 5)
        self.assertGreater(journal.first_position, 1)
        self.assertEqual([frame.position for frame in journal.read(4)], [5, 6, 7, 8, 9, 10])

    def test_reading_what_was_trimmed_is_an_error(self) -> None:
        """Silence would be a hole."""
        journal = self.filled()
        self.successResultOf(journal.trim(10))
        self.assertRaises(JournalTrimmed, journal.read, 0)

    def test_a_file_that_cannot_be_deleted_keeps_those_behind_it(self) -> None:
        """A hole would look like lost facts to the next start; a later trim tries again."""
        journal = self.filled()
        before = self.paths
        with mock.patch("pathlib.Path.unlink", side_effect=OSError(errno.EIO, "Input/output error")):
            self.failureResultOf(journal.trim(4), OSError)
            self.clock.advance(61)
            self.failureResultOf(journal.trim(8), OSError)
        self.assertEqual(self.paths, before)
        self.clock.advance(61)
        self.successResultOf(journal.trim(4))
        self.close(journal)
        _, held = self.opened()
        self.assertEqual(held[-1].position, 10)
        self.assertLess(len(self.paths), len(before))

    def test_one_deletion_is_under_way_at_a_time(self) -> None:
        """A later one would leave a hole if the process died then; a journal is closed behind both."""
        journal = self.filled()
        self.threads.is_held = True
        first, second = journal.trim(4), journal.trim(8)
        closing = Deferred.fromCoroutine(journal.close())
        self.assertEqual(len(self.threads.held), 1)
        self.assertNoResult(closing)
        self.threads.step()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(closing)
        self.threads.is_held = False
        self.assertGreater(self.opened()[0].first_position, 5)

    def test_a_file_that_fails_once_does_not_let_later_ones_go(self) -> None:
        """Whichever trim comes next."""
        journal = self.filled()
        unlink, failing = Path.unlink, [True]

        def fail_once(path: Path, *, missing_ok: bool) -> None:
            if failing:
                failing.pop()
                raise OSError(errno.EIO, "Input/output error")
            unlink(path, missing_ok=missing_ok)

        with mock.patch("pathlib.Path.unlink", fail_once):
            self.failureResultOf(journal.trim(4), OSError)
            self.clock.advance(61)
            self.successResultOf(journal.trim(8))
        self.close(journal)
        self.assertEqual(self.opened()[1][-1].position, 10)

    def test_a_file_that_cannot_be_deleted_is_tried_once_a_minute(self) -> None:
        """The store is written several times a second, and each time something might be trimmed."""
        journal = self.filled()
        before = self.paths
        with mock.patch("pathlib.Path.unlink", side_effect=OSError(errno.EIO, "Input/output error")) as unlink:
            self.failureResultOf(journal.trim(4), OSError)
            self.clock.advance(59)
            self.successResultOf(journal.trim(8))
            self.assertEqual(unlink.call_count, 1)
        self.assertEqual(self.paths, before)
        self.clock.advance(2)
        self.successResultOf(journal.trim(4))
        self.successResultOf(journal.trim(10))
        self.assertEqual(len(self.paths), 1)

    def test_positions_go_on_after_everything_was_trimmed(self) -> None:
        """Also across restarts, on later days, with nothing in between."""
        journal = self.filled()
        self.successResultOf(journal.trim(10))
        self.close(journal)
        journal, _ = self.opened(file_bytes=1000)
        self.clock.advance(86_400)
        self.assertEqual(self.successResultOf(journal.append(b"y")), 11)
        self.successResultOf(journal.trim(11))
        self.close(journal)
        journal, held = self.opened()
        self.assertEqual([frame.position for frame in held], [11])
        self.assertEqual(self.successResultOf(journal.append(b"z")), 12)


class DamageTests(JournalCase):
    """A torn tail is repaired; damage that cost facts is reported."""

    def test_damage_before_the_last_group_is_reported(self) -> None:
        """What was acknowledged and cannot be read is never skipped in silence."""
        journal, _ = self.opened()
        for _ in range(3):
            self.successResultOf(journal.append(b"fact"))
        self.close(journal)
        data = bytearray(self.paths[0].read_bytes())
        data[coding.HEADER_BYTES + coding.FRAME_BYTES] ^= 1
        self.paths[0].write_bytes(data)
        error = self.assertRaises(JournalCorrupt, self.make().open)
        self.assertIn("behind position 0", str(error))

    def test_a_missing_file_is_reported(self) -> None:
        """The files' positions must join."""
        journal, _ = self.opened(file_bytes=1000)
        for _ in range(10):
            self.successResultOf(journal.append(b"x" * 300))
        self.close(journal)
        self.paths[1].unlink()
        self.assertRaises(JournalCorrupt, self.make().open)

    def test_a_short_file_before_the_last_is_reported(self) -> None:
        """Only the last file may have a torn tail."""
        journal, _ = self.opened(file_bytes=1000)
        for _ in range(10):
            self.successResultOf(journal.append(b"x" * 300))
        self.close(journal)
        os.truncate(self.paths[0], self.paths[0].stat().st_size - 1)
        self.assertRaises(JournalCorrupt, self.make().open)

    def test_a_damaged_header_is_reported(self) -> None:
        """The file is somebody's."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"x"))
        self.close(journal)
        self.paths[0].write_bytes(b"X" + self.paths[0].read_bytes()[1:])
        self.assertRaises(JournalCorrupt, self.make().open)

    def test_what_was_written_and_not_synced_is_synced_before_it_is_given_out(self) -> None:
        """A process that was killed leaves it to the operating system, which may lose it yet."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"kept"))
        with mock.patch("os.fdatasync", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, journal._files.write, [(b"whole", False)], self.clock.now())
        self.crash(journal)
        synced: list[str] = []
        fdatasync, fsync = os.fdatasync, os.fsync

        def sync(real: Callable[[int], None], descriptor: int) -> None:
            synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
            real(descriptor)

        self.patch(os, "fdatasync", lambda descriptor: sync(fdatasync, descriptor))
        self.patch(os, "fsync", lambda descriptor: sync(fsync, descriptor))
        journal = self.make()
        frames = journal.open()
        self.assertEqual(synced, [self.paths[0].name, self.directory.name])
        self.assertEqual([frame.payload for frame in frames], [b"kept", b"whole"])
        self.close(journal)

    def test_a_disk_that_cannot_sync_opens_no_journal(self) -> None:
        """And another process may try again."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"kept"))
        self.close(journal)
        with mock.patch("os.fdatasync", side_effect=OSError(errno.EIO, "Input/output error")):
            self.assertRaises(OSError, self.make().open)
        self.assertEqual(len(self.opened()[1]), 1)

    def test_a_torn_group_with_whole_frames_behind_the_tear_is_cut_off(self) -> None:
        """Pages reach the disk in any order before the sync: the whole group was never acknowledged."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"kept"))
        end = self.paths[0].stat().st_size
        journal.append_many([b"one", b"two", b"three"])
        self.close(journal)
        data = bytearray(self.paths[0].read_bytes())
        data[end + coding.FRAME_BYTES] ^= 1
        self.paths[0].write_bytes(data)
        journal, held = self.opened()
        self.assertEqual([frame.payload for frame in held], [b"kept"])
        self.assertEqual(self.successResultOf(journal.append(b"next")), 2)


class VersionTests(JournalCase):
    """Files of an older release are read; it must not cut off what it cannot read of ours."""

    def make_old(self) -> None:
        """Give the last file the header of the older release."""
        data = self.paths[-1].read_bytes()
        header = evolve(coding.decode_header(data), version=1)
        self.paths[-1].write_bytes(coding.encode_header(header) + data[coding.HEADER_BYTES :])

    def versions(self) -> list[int]:
        """Return the versions of the files, oldest first."""
        return [coding.decode_header(path.read_bytes()).version for path in self.paths]

    def test_a_journal_of_the_older_release_goes_on_in_a_new_file(self) -> None:
        """On the same day too; positions go on."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"old"))
        self.close(journal)
        self.make_old()
        journal, held = self.opened()
        self.assertEqual(([frame.payload for frame in held], self.versions()), ([b"old"], [1]))
        journal.append_many([b"new", b"newer"])
        self.successResultOf(journal.append(b"newest"))
        self.close(journal)
        self.assertEqual(self.versions(), [1, 2])
        self.assertEqual([frame.payload for frame in self.opened()[1]], [b"old", b"new", b"newer", b"newest"])

    def test_an_empty_file_of_the_older_release_becomes_one_of_this(self) -> None:
        """A second file that began at its position would leave open which comes first."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"torn"))
        self.close(journal)
        self.make_old()
        os.truncate(self.paths[0], coding.HEADER_BYTES)
        journal, _ = self.opened()
        self.clock.advance(86_400)
        self.assertEqual(self.successResultOf(journal.append(b"new")), 1)
        self.close(journal)
        self.assertEqual(self.versions(), [2])
        self.assertEqual([frame.payload for frame in self.opened()[1]], [b"new"])

    def test_an_older_release_refuses_a_newer_file_and_leaves_it_whole(self) -> None:
        """To it a lot is a torn write."""
        journal, _ = self.opened()
        journal.append_many([b"a", b"b"])
        self.close(journal)
        before = self.paths[0].read_bytes()
        self.patch(coding, "READABLE", (1,))
        self.assertIn("version 2", str(self.assertRaises(JournalCorrupt, self.make().open)))
        self.assertEqual(self.paths[0].read_bytes(), before)


class CrashPointTests(JournalCase):
    """A crash may leave any prefix of the last group: what was acknowledged before it is whole."""

    @given(
        groups=st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), min_size=1, max_size=5),
        cut=st.integers(min_value=0, max_value=400),
        garbage=st.binary(max_size=50),
    )
    @settings(max_examples=150)
    def test_any_cut_keeps_all_groups_before_the_torn_one(
        self, groups: list[list[bytes]], cut: int, garbage: bytes
    ) -> None:
        """Cut the last group anywhere, with or without garbage in its place; the journal goes on behind it."""
        self.directory = Path(self.mktemp())
        journal = self.make(file_bytes=10_000)
        list(journal.open())
        for group in groups[:-1]:
            journal.append_many(group)
        durable = journal.position
        whole = self.paths[0].stat().st_size if groups[:-1] else coding.HEADER_BYTES
        journal.append_many(groups[-1])
        self.crash(journal)
        size = self.paths[0].stat().st_size
        os.truncate(self.paths[0], max(whole, size - cut))
        with self.paths[0].open("ab") as file:
            file.write(garbage)

        journal = self.make(file_bytes=10_000)
        held = list(journal.open())
        payloads = [payload for group in groups for payload in group]
        self.assertGreaterEqual(len(held), durable)
        self.assertEqual([frame.payload for frame in held], payloads[: len(held)])
        self.assertEqual(self.successResultOf(journal.append(b"after")), len(held) + 1)
        self.crash(journal)
        journal = self.make(file_bytes=10_000)
        self.assertEqual(list(journal.open())[-1].payload, b"after")
        self.crash(journal)

    @given(size=st.integers(min_value=0, max_value=coding.HEADER_BYTES - 1))
    @settings(max_examples=20)
    def test_a_crash_while_a_file_is_made_loses_nothing(self, size: int) -> None:
        """Its name still tells the position, and nothing was in it."""
        self.directory = Path(self.mktemp())
        journal = self.make()
        list(journal.open())
        self.successResultOf(journal.append(b"a"))
        self.crash(journal)
        torn = self.directory / f"facts-20131009-{2:020}.journal"
        torn.write_bytes(b"\0" * size)
        journal = self.make()
        self.assertEqual([frame.payload for frame in journal.open()], [b"a"])
        self.assertEqual(self.successResultOf(journal.append(b"b")), 2)
        self.crash(journal)


class FullDiskTests(JournalCase):
    """No room: reported, cut back, and good again when there is room."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGXFSZ, signal.signal(signal.SIGXFSZ, signal.SIG_IGN))

    def test_a_short_write_is_cut_back_and_reported(self) -> None:
        """A write at the limit takes a part without an error; the part goes, the facts before it stay."""
        journal, _ = self.opened(file_bytes=1 << 20)
        self.successResultOf(journal.append(b"kept"))
        size = self.paths[0].stat().st_size
        self.threads.file_limit = size + 50
        self.failureResultOf(journal.append(b"x" * 100), JournalFull)
        self.assertEqual(self.paths[0].stat().st_size, size)
        self.assertEqual(self.successResultOf(journal.append(b"small")), 2)
        self.crash(journal)
        self.assertEqual([frame.payload for frame in self.opened()[1]], [b"kept", b"small"])

    def test_what_waits_behind_a_lost_fact_is_lost_with_it(self) -> None:
        """Nothing overtakes."""
        journal, _ = self.opened(file_bytes=1 << 20)
        self.successResultOf(journal.append(b"kept"))
        self.threads.file_limit = self.paths[0].stat().st_size + 50
        self.threads.is_held = True
        big, small = journal.append(b"x" * 100), journal.append(b"s")
        self.threads.step()
        self.failureResultOf(big, JournalFull)
        self.failureResultOf(small, JournalFull)
        self.threads.is_held = False
        self.assertEqual(self.successResultOf(journal.append(b"later")), 2)
        self.assertEqual(self.metrics.value("spire_journal_failures_total", journal="facts"), 1)

    def test_no_room_for_a_new_file_is_reported(self) -> None:
        """The half-made file goes; the next append tries again."""
        journal, _ = self.opened()
        with mock.patch("os.pwrite", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            self.failureResultOf(journal.append(b"a"), JournalFull)
        self.assertEqual(self.paths, [])
        self.assertEqual(self.successResultOf(journal.append(b"a")), 1)

    def test_no_room_in_a_new_file_leaves_it_usable(self) -> None:
        """Its header fits and its first group does not."""
        journal, _ = self.opened(file_bytes=200)
        self.successResultOf(journal.append(b"x" * 150))
        self.threads.file_limit = coding.HEADER_BYTES + 60
        self.failureResultOf(journal.append(b"y" * 100), JournalFull)
        self.assertEqual(self.successResultOf(journal.append(b"z")), 2)
        self.assertEqual([frame.payload[:1] for frame in journal.read(0)], [b"x", b"z"])

    def test_a_disk_that_fails_ends_the_journal(self) -> None:
        """After a failed sync nobody knows what is on the disk: only a new start may say."""
        journal, _ = self.opened()
        self.successResultOf(journal.append(b"kept"))
        with mock.patch("os.fdatasync", side_effect=OSError(errno.EIO, "Input/output error")):
            self.failureResultOf(journal.append(b"lost"), JournalFailed)
        self.failureResultOf(journal.append(b"more"), JournalFailed)
        self.crash(journal)
        self.assertEqual([frame.payload for frame in self.opened()[1]][:1], [b"kept"])
