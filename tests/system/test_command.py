"""The `spire` command as a process: logins that are kept, streams that end, signals, pipes."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tests.system.case import CHECKOUT
from tests.system.shared import SharedInstanceTestCase


class Typed(ProcessProtocol):
    """A command under way: its lines as they come, and its end."""

    def __init__(self) -> None:
        self.out = self.err = b""
        self.ended: Deferred[int] = Deferred()
        self._wanted: list[tuple[int, Deferred[None]]] = []

    def lines(self, count: int) -> "Deferred[None]":
        """Fire when so many lines of results have come."""
        waiter: Deferred[None] = Deferred()
        self._wanted.append((count, waiter))
        self._look()
        return waiter

    def outReceived(self, data: bytes) -> None:
        """Keep results."""
        self.out += data
        self._look()

    def errReceived(self, data: bytes) -> None:
        """Keep everything else."""
        self.err += data

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 (Twisted's name)
        """Tell the exit status as a shell would."""
        value: Any = reason.value
        assert isinstance(value, ProcessDone | ProcessTerminated)
        self.ended.callback(-value.signal if value.signal else value.exitCode)

    def _look(self) -> None:
        for wanted in tuple(self._wanted):
            if self.out.count(b"\n") >= wanted[0]:
                self._wanted.remove(wanted)
                wanted[1].callback(None)


class CommandTests(SharedInstanceTestCase):
    """Against real servers, with a login of its own."""

    async def setUp(self) -> None:
        """Use a folder of this test alone."""
        await super().setUp()
        self.state = Path(self.mktemp()).absolute()
        self.state.mkdir()
        self.login_file = self.state / "login.json"

    @property
    def environ(self) -> dict[str, str]:
        """Where the command finds the instance and keeps its login."""
        return os.environ | {
            "PYTHONPATH": str(CHECKOUT),
            "SPIRE_HOME": str(self.instance.home),
            "SPIRE_LOGIN": str(self.login_file),
        }

    def type(self, *words: str) -> Typed:
        """Start a command; one that a test leaves running is ended."""
        from twisted.internet import reactor

        typed = Typed()
        command = [sys.executable, "-m", "spire", *words]
        process = reactor.spawnProcess(typed, sys.executable, command, self.environ, str(self.state))  # type: ignore[attr-defined]
        typed.process = process  # type: ignore[attr-defined]

        def end() -> "Deferred[int] | None":
            if typed.ended.called:
                return None
            try:
                process.signalProcess("KILL")
            except ProcessExitedAlready:
                return None
            return typed.ended

        self.addCleanup(end)
        return typed

    async def typed(self, *words: str) -> tuple[str, str, int]:
        """Run a command to its end; return its results, the rest, and its exit status."""
        typed = self.type(*words)
        status = await typed.ended
        return typed.out.decode(), typed.err.decode(), status

    async def log_in(self, account: str = "demo_trader") -> None:
        """Log in."""
        file = self.instance.layout.secret(account)
        out, err, status = await self.typed("login", account, "--password-file", str(file))
        self.assertEqual((out, status), (f"Logged in as {account} (REPLAY).\n", 0), err)

    async def test_a_login_lasts_until_logout(self) -> None:
        """It is kept for its owner alone, and worth nothing afterwards, also to whoever copied it."""
        await self.log_in()
        self.assertEqual(self.login_file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(self.instance.password("demo_trader"), self.login_file.read_text())
        copy = self.login_file.read_bytes()
        self.assertEqual((await self.typed("positions"))[2], 0)
        self.assertEqual((await self.typed("logout"))[2], 0)
        self.assertFalse(self.login_file.exists())
        self.login_file.write_bytes(copy)
        self.login_file.chmod(0o600)
        out, err, status = await self.typed("positions", "--json")
        self.assertEqual((out, status), ("", 1))
        self.assertEqual(json.loads(err)["error"]["code"], "NOT_AUTHENTICATED")

    async def test_a_wrong_password_keeps_no_login(self) -> None:
        """And says so without a traceback."""
        wrong = self.state / "wrong"
        wrong.write_text("not it\n")
        out, err, status = await self.typed("login", "demo_trader", "--password-file", str(wrong))
        self.assertEqual((out, status), ("", 1))
        self.assertTrue(err.startswith("NOT_AUTHENTICATED The account or the password is wrong."), err)
        self.assertFalse(self.login_file.exists())

    async def test_ctrl_c_ends_a_stream_in_order(self) -> None:
        """With a shell's status for it, and nothing on standard error."""
        await self.log_in()
        for number, name in ((signal.SIGINT, "INT"), (signal.SIGTERM, "TERM")):
            following = self.type("--json", "quotes", "ACME.DEMO", "--follow")
            await following.lines(3)
            following.process.signalProcess(name)  # type: ignore[attr-defined]
            self.assertEqual(await following.ended, 128 + number)
            self.assertEqual(following.err, b"")
            rows = [json.loads(line) for line in following.out.splitlines()]
            self.assertEqual({row["ticker"] for row in rows}, {"ACME.DEMO"})
            self.assertEqual([row["market_time"] for row in rows], sorted(row["market_time"] for row in rows))

    async def test_trades_go_on_where_the_list_ended(self) -> None:
        """No print is missing between them."""
        await self.log_in()
        following = self.type("--json", "trades", "ACME.DEMO", "--last", "2", "--follow")
        await following.lines(6)
        sequences = [int(json.loads(line)["sequence"]) for line in following.out.splitlines()[:6]]
        self.assertEqual(sequences, list(range(sequences[0], sequences[0] + 6)))

    async def test_a_stream_ends_with_its_login(self) -> None:
        """When it is ended elsewhere: nothing would ever come again."""
        await self.log_in()
        following = self.type("quotes", "ACME.DEMO", "--follow")
        await following.lines(3)
        self.assertEqual((await self.typed("logout"))[2], 0)
        self.assertEqual(await following.ended, 1)
        self.assertIn(b"NOT_AUTHENTICATED", following.err)

    async def test_a_stream_ends_with_its_reader(self) -> None:
        """As `| head` makes it; quietly."""
        await self.log_in()
        following = self.type("quotes", "ACME.DEMO", "BLUE.DEMO", "--follow")
        await following.lines(4)
        following.process.closeStdout()  # type: ignore[attr-defined]
        self.assertEqual(await following.ended, 141)
        self.assertEqual(following.err, b"")
