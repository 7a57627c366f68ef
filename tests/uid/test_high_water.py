"""The mark's file."""

from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from spire.uid.high_water import HighWaterDamaged, HighWaterFile


class HighWaterFileTests(SynchronousTestCase):
    """One number that outlives the database."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "uid" / "high_water"
        self.file = HighWaterFile(self.path)

    def test_without_a_file_there_is_no_mark(self) -> None:
        """A first start."""
        self.assertEqual(self.file.load(), 0)

    def test_the_mark_comes_back(self) -> None:
        """The last one that was stored, in a file that only its owner reads."""
        self.file.store(20_001)
        self.file.store(40_001)
        self.assertEqual(HighWaterFile(self.path).load(), 40_001)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_a_damaged_file_is_refused(self) -> None:
        """A wrong digit must not become a mark."""
        self.file.store(20_001)
        self.path.write_text(self.path.read_text().replace("2", "3", 1))
        self.assertRaises(HighWaterDamaged, self.file.load)
        self.path.write_bytes(b"\xff")
        self.assertRaises(HighWaterDamaged, self.file.load)

    def test_a_failed_write_leaves_the_former_mark(self) -> None:
        """The file is replaced as a whole or not at all."""
        self.file.store(20_001)
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            self.assertRaises(OSError, self.file.store, 40_001)
        self.assertEqual(self.file.load(), 20_001)
