"""What a person drives a replay with."""

import os
import pty
import termios
from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from spire.feeds.replay import Progress, ReplayFeed
from spire.operations.commands.replay_keys import Keys, state_of
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.runtime.tasks import Tasks
from spire.values.time import parse_timestamp


def progress(**changes: Any) -> Progress:
    """Return a replay that runs, but for what is changed."""
    values: dict[str, Any] = {
        "sent": 10,
        "accepted": 10,
        "total": 100,
        "market_time": parse_timestamp("2013-10-08T13:31:05Z"),
        "speed": None,
        "is_paused": False,
        "is_connected": True,
        "is_ended": False,
    }
    return Progress(**(values | changes))


class Driven:
    """Notes how a replay is driven."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.progress = progress()

    def pause(self) -> None:
        """Note it."""
        self.calls.append("pause")

    def resume(self) -> None:
        """Note it."""
        self.calls.append("resume")

    def set_speed(self, speed: float | None) -> None:
        """Note it."""
        self.calls.append(speed)

    async def step(self, count: int) -> None:
        """Note it."""
        self.calls.append(("step", count))


class KeysTestCase(SynchronousTestCase):
    """Keys on a terminal, or on a pipe."""

    def setUp(self) -> None:
        """Make a terminal."""
        self.reactor = MemoryReactorClock()
        self.driven = Driven()
        self.person, self.terminal = pty.openpty()
        self.addCleanup(os.close, self.person)
        self.addCleanup(os.close, self.terminal)

    def keys(self, descriptor: int) -> Keys:
        """Return keys on a descriptor."""
        tasks = Tasks(Clock(cast("Any", self.reactor)), Metrics())
        return Keys(self.reactor, cast("ReplayFeed", self.driven), tasks, descriptor)


class KeyTests(KeysTestCase):
    """Each key does what the help says."""

    def press(self, *keys: str) -> list[object]:
        """Press keys, and return what they did."""
        pressed = self.keys(self.terminal)
        for key in keys:
            pressed.press(key)
        return self.driven.calls

    def test_space_pauses_and_goes_on(self) -> None:
        """By what the replay does now."""
        self.press(" ")
        self.driven.progress = progress(is_paused=True)
        self.assertEqual(self.press(" "), ["pause", "resume"])

    def test_s_and_m_send_one_and_a_thousand(self) -> None:
        """Records, not changes of time."""
        self.assertEqual(self.press("s", "m"), [("step", 1), ("step", 1000)])

    def test_plus_and_minus_double_and_halve(self) -> None:
        """Zero is as fast as possible, from which plus begins at twice."""
        self.driven.progress = progress(speed=60.0)
        self.assertEqual(self.press("+", "-", "0"), [120.0, 30.0, None])
        self.driven.progress = progress(speed=None)
        self.assertEqual(self.press("+")[-1], 2.0)

    def test_an_unknown_key_does_nothing(self) -> None:
        """Not even an end."""
        self.assertEqual(self.press("x", "\n", "S"), [])

    def test_q_leaves(self) -> None:
        """Once is enough, twice does no harm."""
        keys = self.keys(self.terminal)
        keys.press("q")
        keys.press("q")
        self.successResultOf(keys.done)


class TerminalTests(KeysTestCase):
    """The terminal is borrowed."""

    def test_keys_come_without_return_and_the_terminal_is_given_back(self) -> None:
        """As it was, also after a failure."""
        before = termios.tcgetattr(self.terminal)
        keys = self.keys(self.terminal)
        with self.assertRaises(ValueError), keys:
            self.assertFalse(termios.tcgetattr(self.terminal)[3] & termios.ICANON)
            self.assertEqual(self.reactor.getReaders(), [keys])
            os.write(self.person, b"q")
            keys.doRead()
            self.successResultOf(keys.done)
            raise ValueError
        self.assertEqual(termios.tcgetattr(self.terminal), before)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_a_paused_replay_waits_for_its_person(self) -> None:
        """There is one at the terminal."""
        keys = self.keys(self.terminal)
        keys.watch(progress(is_paused=True))
        self.assertNoResult(keys.done)

    def test_without_a_terminal_a_replay_that_has_paused_leaves(self) -> None:
        """Once nothing is under way any more."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        keys = self.keys(reading)
        with keys:
            self.assertEqual(self.reactor.getReaders(), [])
            keys.watch(progress())
            keys.watch(progress(is_paused=True, accepted=9))
            self.assertNoResult(keys.done)
            keys.watch(progress(is_paused=True))
            self.successResultOf(keys.done)


class StateTests(SynchronousTestCase):
    """A replay in a few words."""

    def test_each_state_has_its_words(self) -> None:
        """With the market's time in New York."""
        self.assertEqual(state_of(progress()), "09:31:05 New York, as fast as possible")
        self.assertEqual(state_of(progress(speed=60.0)), "09:31:05 New York, 60 x")
        self.assertEqual(state_of(progress(is_paused=True)), "09:31:05 New York, paused")
        self.assertEqual(state_of(progress(is_connected=False)), "09:31:05 New York, waits for the server")
        self.assertEqual(state_of(progress(is_ended=True)), "09:31:05 New York, ended")
        self.assertEqual(state_of(progress(market_time=None)), "as fast as possible")
