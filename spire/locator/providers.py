"""Where services are, as a client knows it: live, and as last known while a Locator is away or has just restarted."""

import random
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from zope.interface import implementer

from spire.locator.registry import expected_account, in_order_of_load
from spire.locator.values import PROVIDERS
from spire.runtime.clock import Clock
from spire.wire.client_session import ClientSession
from spire.wire.errors import Unavailable
from spire.wire.identity import Provider
from spire.wire.interfaces import IAddresses
from spire.wire.state_view import StateView

FIRST_ANSWER_SECONDS = 5.0

REMEMBERED_SECONDS = 30.0
"""How long a provider is believed in that a restarted Locator does not show (yet): it has to register again."""


@define(eq=False)
class _Followed:
    """The providers of one service; `remembered` are those of the Locator's former life, with the time to forget them."""

    view: StateView[Provider]
    epoch: object = None
    remembered: dict[str, tuple[Provider, float]] = field(factory=dict)


@implementer(IAddresses)
class ProviderViews:
    """Follows the topic `providers/<service>` of each service that was asked for.

    A provider that another account registered than the one the service runs under is not believed.
    """

    def __init__(self, session: ClientSession, clock: Clock, source: random.Random) -> None:
        self._session = session
        self._clock = clock
        self._source = source
        self._followed: dict[str, _Followed] = {}
        self._callbacks: list[Callable[[str], None]] = []

    async def addresses(self, service: str) -> list[Provider]:
        """Return the providers, the least loaded first, equals in random order."""
        followed = self._followed.get(service)
        if followed is None:
            followed = self._follow(service)
        if not followed.view.is_ready:
            await self._first_answer(service, followed)
        found = dict(followed.view.rows)
        now = self._clock.monotonic()
        for instance_id, (provider, until) in followed.remembered.items():
            if until > now:
                found.setdefault(instance_id, provider)
        account = expected_account(service)
        believed = [provider for provider in found.values() if provider.account == account]
        return in_order_of_load(believed, self._source)

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Call back with a service's name when its providers change."""
        self._callbacks.append(callback)

    def _follow(self, service: str) -> _Followed:
        view = self._session.subscriptions.state(f"{PROVIDERS}{service}", Provider)
        followed = self._followed[service] = _Followed(view)

        def changed(instance_id: str, old: Provider | None, new: Provider | None) -> None:
            if new is None and old is not None and followed.epoch not in (None, view.epoch):
                followed.remembered[instance_id] = (old, self._clock.monotonic() + REMEMBERED_SECONDS)
            else:
                followed.remembered.pop(instance_id, None)

        def changed_as_a_whole() -> None:
            followed.epoch = view.epoch
            for callback in tuple(self._callbacks):
                callback(service)

        view.observe(changed)
        view.observe_version(changed_as_a_whole)
        return followed

    async def _first_answer(self, service: str, followed: _Followed) -> None:
        if not self._session.is_ready:
            raise Unavailable(f"The Service Locator cannot be asked for {service}: {self._session.reason}.")
        answer = Deferred.fromCoroutine(followed.view.when_ready())
        reactor: Any = self._clock.reactor
        try:
            await answer.addTimeout(FIRST_ANSWER_SECONDS, reactor)
        except TookTooLong:
            raise Unavailable(f"The Service Locator did not answer for {service}.") from None
