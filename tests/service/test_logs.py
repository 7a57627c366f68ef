"""Log lines are JSON, carry the context of the work, and stay short."""

import json
from pathlib import Path

from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from spire.runtime.log_context import log_context
from spire.service.logs import JsonLog, Levels, LogOutput


class JsonLogTests(SynchronousTestCase):
    """Events as they are written."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        self.levels = Levels("info")
        publisher = LogPublisher(self.levels.filter(JsonLog("uid", self.lines.append)))
        self.log = Logger("spire.uid.server", observer=publisher)

    def last(self) -> dict[str, object]:
        """Return the last line, decoded."""
        record: dict[str, object] = json.loads(self.lines[-1])
        return record

    def test_an_event_is_one_line_of_json(self) -> None:
        """A text with a line end stays on one line."""
        self.log.info("reserved {size}\nblocks", size=3)
        self.assertEqual(len(self.lines[0].splitlines()), 1)
        record = self.last()
        self.assertEqual(
            (record["level"], record["process"], record["source"], record["text"]),
            ("info", "uid", "spire.uid.server", "reserved 3\nblocks"),
        )

    def test_the_time_is_utc(self) -> None:
        """Lines of several machines sort by it."""
        self.log.info("x")
        self.assertTrue(str(self.last()["time"]).endswith("+00:00"))

    def test_the_context_is_in_the_line(self) -> None:
        """Session and command need not be repeated by every caller."""
        with log_context(session="s1", command="ReserveBlock"):
            self.log.info("x")
        record = self.last()
        self.assertEqual((record["session"], record["command"]), ("s1", "ReserveBlock"))

    def test_the_context_cannot_hide_the_event(self) -> None:
        """A field of the same name loses."""
        with log_context(text="other"):
            self.log.info("x")
        self.assertEqual(self.last()["text"], "x")

    def test_a_failure_brings_its_traceback(self) -> None:
        """The text alone does not say where."""
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            self.log.failure("it broke", Failure())
        self.assertIn("RuntimeError: broken", str(self.last()["failure"]))

    def test_a_long_text_is_cut(self) -> None:
        """Payloads do not belong in logs."""
        self.log.info("{text}", text="x" * 5_000)
        self.assertEqual(len(str(self.last()["text"])), 1_000)

    def test_a_lower_level_is_not_written(self) -> None:
        """Until it is asked for."""
        self.log.debug("x")
        self.assertEqual(self.lines, [])
        self.levels.set("debug", "spire.uid")
        self.log.debug("x")
        self.assertEqual(len(self.lines), 1)

    def test_an_unknown_level_is_refused(self) -> None:
        """Nothing changes."""
        self.assertRaises(ValueError, self.levels.set, "loud")

    def test_every_level_can_be_set(self) -> None:
        """From the most to the least."""
        for level in LogLevel.iterconstants():
            self.levels.set(level.name)
        self.log.error("x")
        self.assertEqual(self.lines, [])


class LogOutputTests(SynchronousTestCase):
    """Where lines go."""

    def test_a_file_is_made_with_its_directory(self) -> None:
        """And is appended to."""
        path = Path(self.mktemp()) / "logs" / "uid.log"
        for line in ("a\n", "b\n"):
            output = LogOutput(path)
            output.write(line)
            output.close()
        self.assertEqual(path.read_text(), "a\nb\n")
