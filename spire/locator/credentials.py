"""A client's login at the Service Locator: by password or cached session, its ticket renewed at half life."""

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from spire.locator.commands import Login, Logout, RenewTicket
from spire.locator.keys import EVERY_SERVICE, renewal_message
from spire.runtime.clock import Clock
from spire.runtime.tasks import Tasks
from spire.runtime.waiters import Waiters
from spire.values.time import NANOSECONDS, Timestamp
from spire.wire.errors import CredentialsRefused, NotAuthenticated, SpireError, Unavailable
from spire.wire.handshake import Authenticate, Greeting, Reauthenticate
from spire.wire.interfaces import IConnection, ICredentials, ITicketSource
from spire.wire.tickets import HeldTicket, load_key, make_key, private_bytes, public_bytes, sign_proof

LOGIN_SECONDS = 30.0
"""A login waits for its password's hash behind others."""

AGAIN_SECONDS = 10.0
"""From a renewal that got no answer to the next."""

TICKET_WAIT_SECONDS = 10.0


@frozen(kw_only=True)
class Password:
    """An account and its password or secret."""

    account: str
    password: str = field(repr=False)


@frozen(kw_only=True)
class CachedLogin:
    """What a shell keeps to stay logged in: the login session's id and the 32 secret bytes of its key."""

    login_session: str
    key: bytes = field(repr=False)


@define(eq=False)
class _Connected:
    """The connection to a Locator that is logged in; `nonce` is for the next proof."""

    connection: IConnection
    greeting: Greeting
    nonce: bytes


@implementer(ICredentials, ITicketSource)
class LocatorLogin:
    """Logs in at the Locator, whenever it is connected to one, and keeps a ticket for all other services.

    A login session that is open is renewed rather than opened anew; when it has ended, the password, where there is
    one, opens another. Without one, or when the password is refused, the login is refused for good.
    """

    _log = Logger()

    def __init__(
        self,
        how: Password | CachedLogin,
        *,
        clock: Clock,
        tasks: Tasks,
        random_bytes: Callable[[int], bytes],
        audiences: tuple[str, ...] = (EVERY_SERVICE,),
    ) -> None:
        self._password = how if isinstance(how, Password) else None
        self._key = load_key(how.key) if isinstance(how, CachedLogin) else make_key(random_bytes)
        self._clock = clock
        self._tasks = tasks
        self._audiences = audiences
        self._held: HeldTicket | None = None
        self._connected: _Connected | None = None
        self._ahead = 0
        self._timer: IDelayedCall | None = None
        self._waiting: Waiters[None] = Waiters()
        self._callbacks: list[Callable[[], None]] = []
        self._refusal: CredentialsRefused | None = None
        self.login_session = how.login_session if isinstance(how, CachedLogin) else ""
        self.account = how.account if isinstance(how, Password) else ""
        self.account_id = 0

    @property
    def cached(self) -> CachedLogin:
        """What to keep in order to log in again without the password."""
        return CachedLogin(login_session=self.login_session, key=private_bytes(self._key))

    # For the connection to the Locator

    async def authenticate(self, connection: IConnection, hello: Greeting) -> None:
        """Log in over a connection to a Locator, and go on renewing over it."""
        self._refusal = None
        self._ahead = hello.time - self._clock.now()
        one = _Connected(connection, hello, hello.nonce)
        try:
            held = self._hold(await self._log_in(one))
        except CredentialsRefused as error:
            self._refused(error)
            raise
        one.nonce = await self._prove(one, Authenticate, held)
        self._connected = one
        connection.on_lost(lambda _: self._lost(one))
        self._tell()

    async def logout(self) -> None:
        """End the login session, if a Locator can be told; nothing logs in again by itself after it."""
        self._password = None
        one, self._connected = self._connected, None
        self._stop_timer()
        if one is not None and self.login_session:
            try:
                await one.connection.ask(Logout, {}, 2.0)
            except SpireError as error:
                self._log.info("the logout was not confirmed: {error}", error=str(error))
        self.login_session = ""
        self._held = None

    def rest(self) -> None:
        """Renew no longer; the login session stays open."""
        self._connected = None
        self._stop_timer()

    # For the connections to all other services

    async def ticket(self) -> HeldTicket:
        """Return the ticket in force, waiting for one if need be."""
        if not self._is_good():
            if self._refusal is not None:
                raise self._refusal
            await self._next_ticket()
        if self._held is None or not self._is_good():
            raise Unavailable("There is no ticket: no Service Locator can be reached.", in_doubt="no")
        return self._held

    def on_renewed(self, callback: Callable[[], None]) -> None:
        """Call back each time that a newer ticket is held."""
        self._callbacks.append(callback)

    # Inside

    async def _log_in(self, one: _Connected) -> dict[str, Any]:
        """Return what RenewTicket or Login answers; raises CredentialsRefused when nothing is left to try."""
        if self.login_session:
            proof = self._key.sign(
                renewal_message(
                    service=one.greeting.service,
                    instance_id=one.greeting.instance_id,
                    nonce=one.nonce,
                    session=self.login_session,
                )
            )
            try:
                return await _ask(one, RenewTicket, {"login_session": self.login_session, "proof": proof})
            except NotAuthenticated as error:
                if self._password is None:
                    raise CredentialsRefused(error.message) from error
                self._log.info("the login session has ended; logging in again")
                self.login_session = ""
        if self._password is None:
            raise CredentialsRefused("You are logged out; log in again.")
        try:
            return await _ask(
                one,
                Login,
                {
                    "account": self._password.account,
                    "password": self._password.password,
                    "public_key": public_bytes(self._key),
                    "audiences": self._audiences,
                },
            )
        except NotAuthenticated as error:
            raise CredentialsRefused(error.message, account=self._password.account) from error

    async def _prove(self, one: _Connected, command: Any, held: HeldTicket) -> bytes:
        proof = sign_proof(held.key, one.greeting.service, one.greeting.instance_id, one.nonce)
        nonce: bytes = (await _ask(one, command, {"ticket": held.ticket, "proof": proof}))["nonce"]
        return nonce

    def _hold(self, answer: dict[str, Any]) -> HeldTicket:
        now = self._clock.now()
        self.login_session = answer["login_session"]
        self.account = answer["account"]
        self.account_id = answer["account_id"]
        self._held = HeldTicket(
            ticket=answer["ticket"],
            key=self._key,
            issued=now,
            expires=Timestamp(answer["expires"] - self._ahead),
        )
        self._renew_after((self._held.expires - now) / NANOSECONDS / 2)
        return self._held

    def _renew_after(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self._clock.later(seconds, self._half_life)

    def _half_life(self) -> None:
        self._timer = None
        if self._connected is not None:
            self._tasks.spawn("renew ticket", self._renew(self._connected))

    async def _renew(self, one: _Connected) -> None:
        """Renew over the open connection; without one the next connection does it."""
        try:
            held = self._hold(await self._log_in(one))
            one.nonce = await self._prove(one, Reauthenticate, held)
        except CredentialsRefused as error:
            self._refused(error)
            return
        except SpireError as error:
            self._log.warn("the ticket was not renewed: {error}", error=str(error))
            if self._connected is one:
                self._renew_after(AGAIN_SECONDS)
            return
        self._tell()

    def _tell(self) -> None:
        self._waiting.succeed(None)
        for callback in tuple(self._callbacks):
            callback()

    def _refused(self, error: CredentialsRefused) -> None:
        self._refusal = error
        self._held = None
        self._waiting.fail(error)

    async def _next_ticket(self) -> None:
        waiting = self._waiting.join()
        timer = self._clock.later(TICKET_WAIT_SECONDS, self._give_up, waiting)
        try:
            await waiting
        finally:
            if timer.active():
                timer.cancel()

    def _give_up(self, waiting: Deferred[None]) -> None:
        if self._waiting.leave(waiting):
            waiting.callback(None)

    def _is_good(self) -> bool:
        return self._held is not None and self._held.expires > self._clock.now()

    def _lost(self, one: _Connected) -> None:
        if self._connected is one:
            self._connected = None

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


async def _ask(one: _Connected, command: Any, arguments: dict[str, object]) -> dict[str, Any]:
    return await one.connection.ask(command, arguments, LOGIN_SECONDS)
