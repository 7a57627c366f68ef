"""The journal after a crash at any point, on a full disk, and with files of another release."""

import errno
import os
import signal
from pathlib import Path
from unittest import mock

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from spire.database import frames as coding
from spire.database.journal import (
    JournalCorrupt,
    JournalFailed,
    JournalFull,
)
from tests.database.journal_case import JournalCase


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
