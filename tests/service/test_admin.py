"""An operator asks a running process over a private unix socket."""

import json
import os
import stat
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from spire.service.admin import AdminEndpoint, AdminProtocol
from spire.service.admin_client import ask
from spire.service.paths import private_directory, socket_path
from spire.service.verbs import Verbs
from spire.wire.errors import Conflict, NotFound, Unavailable


class AdminProtocolTests(SynchronousTestCase):
    """One line of JSON is asked, one is answered."""

    def setUp(self) -> None:
        self.verbs = Verbs()
        self.verbs.add("double", lambda number: number * 2, "Double a number.")
        self.transport = StringTransport()
        self.protocol = AdminProtocol(self.verbs)
        self.protocol.makeConnection(self.transport)

    def asked(self, line: bytes) -> dict[str, object]:
        """Send `line`, return what is answered."""
        self.protocol.dataReceived(line + b"\n")
        answer: dict[str, object] = json.loads(self.transport.value())
        self.transport.clear()
        return answer

    def test_a_verb_answers(self) -> None:
        """Arguments are given by name."""
        answer = self.asked(b'{"verb": "double", "arguments": {"number": 4}}')
        self.assertEqual(answer, {"ok": True, "result": 8})

    def test_an_unknown_verb_lists_those_there_are(self) -> None:
        """The operator learns what to type instead."""
        answer = self.asked(b'{"verb": "treble"}')
        self.assertEqual(answer, {"ok": False, "code": "NOT_FOUND", "message": "no verb treble: there are double"})

    def test_a_wrong_argument_is_invalid(self) -> None:
        """The verb is not run."""
        self.assertEqual(self.asked(b'{"verb": "double", "arguments": {"size": 4}}')["code"], "INVALID")

    def test_garbage_is_answered_and_the_connection_stays(self) -> None:
        """A typing error costs nothing."""
        self.assertEqual(self.asked(b"\x00garbage")["code"], "INVALID")
        self.assertEqual(self.asked(b'{"verb": "double", "arguments": {"number": 1}}')["result"], 2)

    def test_json_that_is_no_object_is_invalid(self) -> None:
        """A request is an object with a verb."""
        self.assertEqual(self.asked(b"[1]")["code"], "INVALID")

    def test_a_refusal_keeps_its_code(self) -> None:
        """A verb refuses as a command would."""

        def refuse() -> None:
            raise Conflict("paused already")

        self.verbs.add("pause", refuse, "Pause.")
        expected = {"ok": False, "code": "CONFLICT", "message": "paused already"}
        self.assertEqual(self.asked(b'{"verb": "pause"}'), expected)

    def test_a_fault_of_ours_is_logged_and_says_nothing(self) -> None:
        """The text of an exception may hold anything."""
        self.verbs.add("fail", lambda: 1 // 0, "Fail.")
        self.assertEqual(self.asked(b'{"verb": "fail"}')["message"], "fail failed; the log says why")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_answers_keep_the_order_of_the_requests(self) -> None:
        """A slow verb holds back the answers behind it."""
        slow: Deferred[str] = Deferred()
        self.verbs.add("slow", lambda: slow, "Wait.")
        self.protocol.dataReceived(b'{"verb": "slow"}\n{"verb": "double", "arguments": {"number": 1}}\n')
        self.assertEqual(self.transport.value(), b"")
        slow.callback("done")
        results = [json.loads(line)["result"] for line in self.transport.value().splitlines()]
        self.assertEqual(results, ["done", 2])

    def test_a_verb_is_offered_once(self) -> None:
        """Two rooms' steps cannot hide each other's verbs."""
        self.assertRaises(ValueError, self.verbs.add, "double", lambda: None, "Again.")


class SocketPathTests(SynchronousTestCase):
    """A unix socket's path is short and private."""

    def test_a_short_path_is_kept(self) -> None:
        """The socket stands where the configuration says."""
        self.assertEqual(socket_path(Path("/run/spire/uid.admin")), Path("/run/spire/uid.admin"))

    def test_a_long_path_gets_a_short_name(self) -> None:
        """The kernel takes 108 bytes at most."""
        path = socket_path(Path("/" + "x" * 120) / "uid.admin")
        self.assertLess(len(os.fsencode(path)), 60)

    def test_two_long_paths_get_two_names(self) -> None:
        """Instances beside each other do not meet."""
        long = Path("/" + "x" * 120)
        self.assertNotEqual(socket_path(long / "a.admin"), socket_path(long / "b.admin"))

    def test_a_directory_open_to_others_is_refused(self) -> None:
        """Somebody else could put his socket there."""
        directory = Path(self.mktemp())
        directory.mkdir()
        directory.chmod(0o755)
        self.assertRaises(PermissionError, private_directory, directory)

    def test_a_link_to_a_directory_is_refused(self) -> None:
        """A link can be pointed elsewhere later."""
        directory = Path(self.mktemp())
        directory.mkdir(mode=0o700)
        link = directory.with_name("link")
        link.symlink_to(directory.absolute())
        self.assertRaises(PermissionError, private_directory, link)


class AdminEndpointTests(TestCase):
    """The endpoint and its blocking client, over a real socket."""

    async def serve(self, path: Path) -> AdminEndpoint:
        """Listen at `path` until the test ends."""
        from twisted.internet import reactor

        verbs = Verbs()
        verbs.add("echo", lambda text: text, "Say it again.")
        endpoint = AdminEndpoint(path, verbs, reactor)
        await endpoint.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(endpoint.stop()))
        return endpoint

    async def test_the_client_gets_the_answer(self) -> None:
        """Text comes back as it was given."""
        path = Path(self.mktemp()) / "uid.admin"
        await self.serve(path)
        self.assertEqual(await deferToThread(ask, path, "echo", text="é"), "é")

    async def test_the_client_raises_the_refusal(self) -> None:
        """By its class."""
        path = Path(self.mktemp()) / "uid.admin"
        await self.serve(path)
        await self.assertFailure(deferToThread(ask, path, "sing"), NotFound)

    async def test_the_socket_has_mode_600(self) -> None:
        """Only the owner of the process may ask."""
        endpoint = await self.serve(Path(self.mktemp()) / "uid.admin")
        self.assertEqual(stat.S_IMODE(endpoint.path.stat().st_mode), 0o600)

    async def test_a_path_that_is_too_long_still_works(self) -> None:
        """Both sides find the short name."""
        path = Path(self.mktemp()).absolute() / ("d" * 100) / "uid.admin"
        await self.serve(path)
        self.assertEqual(await deferToThread(ask, path, "echo", text="x"), "x")

    async def test_a_socket_left_by_a_killed_process_is_replaced(self) -> None:
        """A restart needs nobody to clean up."""
        path = Path(self.mktemp()) / "uid.admin"
        endpoint = await self.serve(path)
        await endpoint.stop()
        endpoint.path.touch()
        await endpoint.start()
        self.assertEqual(await deferToThread(ask, path, "echo", text="x"), "x")

    async def test_nobody_there_is_unavailable(self) -> None:
        """The path is named."""
        await self.assertFailure(deferToThread(ask, Path("/nonexistent/uid.admin"), "ping"), Unavailable)
