"""What the processes of all feeds share: links to the Locator, to Definitions and to the feed service."""

from typing import Final

from attrs import frozen

from spire.definitions.client import DefinitionsClient
from spire.locator.client import LocatorLink
from spire.service.container import Child, SpireService
from spire.service.parts import Parts
from spire.service.readiness import Readiness
from spire.service.sections import LocatorSection, ProcessConfiguration
from spire.wire.client_session import ClientSession

FEED_SERVICE: Final = "market_data_feed_service"
DEFINITIONS_SERVICE: Final = "definitions_service"


@frozen(kw_only=True)
class FeedProcess:
    """A feed's service so far: children may be added; the sessions are started by it, and come back by themselves."""

    service: SpireService
    definitions: DefinitionsClient
    feed_session: ClientSession


def begin_feed(name: str, configuration: ProcessConfiguration, locator: LocatorSection, parts: Parts) -> FeedProcess:
    """Return a service that links to the Locator and waits for Definitions; the feed's own child follows."""
    service = SpireService(name, clock=parts.clock, readiness=Readiness())
    link = LocatorLink(locator, parts, configuration.environment)

    def session(upstream: str) -> ClientSession:
        made = ClientSession(
            upstream,
            addresses=link,
            connector=parts.connector,
            credentials=link.credentials,
            environment=configuration.environment,
            clock=parts.clock,
            tasks=parts.tasks,
            metrics=parts.metrics,
            chance=link.chance,
        )

        def changed(is_ready: bool) -> None:
            if is_ready:
                service.readiness.clear(upstream)
            else:
                service.readiness.because(upstream, f"{upstream} is away")

        made.on_state(changed)
        return made

    definitions_session, feed_session = session(DEFINITIONS_SERVICE), session(FEED_SERVICE)
    definitions = DefinitionsClient(definitions_session)

    async def start_link() -> None:
        link.start()
        await link.when_ready()

    async def start_definitions() -> None:
        definitions_session.start()
        await definitions.when_ready()

    service.add(Child(name="tasks", stop=lambda: parts.tasks.drain(4.0), start=lambda: None))
    service.add(Child(name="service_locator", start=start_link, stop=link.stop))
    service.add(Child(name=DEFINITIONS_SERVICE, start=start_definitions, stop=definitions_session.stop))
    service.add(Child(name=FEED_SERVICE, start=feed_session.start, stop=feed_session.stop))
    return FeedProcess(service=service, definitions=definitions, feed_session=feed_session)
