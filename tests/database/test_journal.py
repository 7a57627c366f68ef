"""The journal on real files: what is appended, trimmed, and found damaged."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from twisted.internet.defer import Deferred

from spire.database import frames as coding
from spire.database import journal as journal_module
from spire.database.journal import (
    Journal,
    JournalCorrupt,
    JournalFailed,
    JournalInUse,
    JournalMismatch,
    JournalTrimmed,
)
from spire.values.environment import Environment
from tests.database.journal_case import JournalCase


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
