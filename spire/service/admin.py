"""The admin endpoint: one line of JSON asks a verb, one line answers, on a unix socket that only its owner may use.

Asked `{"verb": "status", "arguments": {}}`, it answers `{"ok": true, "result": ...}` or
`{"ok": false, "code": "NOT_FOUND", "message": "..."}`. Requests of one connection are answered in their order.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from spire.service.paths import private_directory, socket_path
from spire.service.verbs import Verbs
from spire.wire.errors import SpireError

LONGEST_REQUEST = 65_536


class AdminProtocol(LineOnlyReceiver):
    """One operator's connection."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_REQUEST
    _log = Logger()

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._last: Deferred[None] | None = None

    def lineReceived(self, line: bytes) -> None:
        """Answer one request, after those before it."""
        previous = self._last
        self._last = Deferred.fromCoroutine(self._in_turn(previous, line))

    async def _in_turn(self, previous: Deferred[None] | None, line: bytes) -> None:
        if previous is not None:
            await previous
        answer = await self._answer(line)
        if self.transport is not None and not getattr(self.transport, "disconnecting", False):
            self.sendLine(json.dumps(answer, default=str).encode())  # type: ignore[no-untyped-call]

    async def _answer(self, line: bytes) -> Mapping[str, object]:
        try:
            request = json.loads(line)
            verb, arguments = request["verb"], request.get("arguments", {})
            if not isinstance(verb, str) or not isinstance(arguments, dict):
                raise TypeError("verb must be a string and arguments an object")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"ok": False, "code": "INVALID", "message": f"not a request: {error}"}
        try:
            return {"ok": True, "result": await self._verbs.run(verb, arguments)}
        except SpireError as error:
            return {"ok": False, "code": error.coded, "message": error.message}
        except ValueError as error:
            return {"ok": False, "code": "INVALID", "message": str(error)}
        except Exception:  # noqa: BLE001 - a fault of ours must not leave the operator without an answer
            self._log.failure("the verb {verb} failed", verb=verb)
            return {"ok": False, "code": "INTERNAL", "message": f"{verb} failed; the log says why"}


class AdminEndpoint(Factory):
    """Listens on the socket at `path` (or its short name) and answers with `verbs`."""

    noisy = False

    def __init__(self, path: Path, verbs: Verbs, reactor: object) -> None:
        self.path = socket_path(path)
        self._verbs = verbs
        self._reactor = reactor
        self._port: IListeningPort | None = None

    def buildProtocol(self, address: IAddress | None) -> AdminProtocol:  # noqa: ARG002 - the name is Twisted's
        """Make the protocol of one connection."""
        protocol = AdminProtocol(self._verbs)
        protocol.factory = self
        return protocol

    async def start(self) -> None:
        """Listen; a socket that a killed process left is replaced."""
        private_directory(self.path.parent)
        self.path.unlink(missing_ok=True)
        endpoint = UNIXServerEndpoint(self._reactor, str(self.path), mode=0o600)
        self._port = await endpoint.listen(self)

    async def stop(self) -> None:
        """Stop listening; the socket is removed."""
        if self._port is not None:
            stopping = self._port.stopListening()
            self._port = None
            if stopping is not None:
                await stopping
