"""What an instance is made of: its servers and feeds in start order, with their ports, accounts and tables."""

from typing import Final

from attrs import evolve, frozen

# Not the name of the operating-system user that owns a private database: that one is its administrator.
DATABASE_USER = "spire_servers"
OPERATIONS_ACCOUNT: Final = "operations_service"
"""The account of what operators run on an instance: it opens the business day, and serves nothing."""

RELAY: Final = "market-data-relay"
OFFSET_STEP: Final = 3000
"""How far apart port offsets must be for instances of one machine: more than there is between the lowest port and the highest."""

MOST_RELAYS: Final = 4
"""How many relays may stand in one instance: they share service name, account and certificate."""


@frozen(kw_only=True)
class ServerKind:
    """One kind of process.

    `name` names its configuration, log and readiness file; `tap` is its name in twistd, `module` what that loads; `ports` are those of a port offset of 0, by service name.
    `package` holds the migrations of the tables that begin with `tables`, if it has any; what `account` may do stands in
    `spire.locator.bootstrap`. A further process of the same kind has a name and ports of its own, and names in `of` the
    one whose template its configuration is made from.
    """

    name: str
    tap: str
    module: str
    account: str | None
    ports: dict[str, int]
    package: str | None = None
    tables: str | None = None
    of: str | None = None

    @property
    def template(self) -> str:
        """The name of its template in `etc/`."""
        return self.name if self.of is None else self.of

    @property
    def services(self) -> tuple[str, ...]:
        """The service names that it answers to."""
        return tuple(self.ports)


SERVERS = (
    ServerKind(
        name="service-locator",
        tap="spire-service-locator",
        module="spire.locator.tap",
        account=None,
        ports={"service_locator": 20000},
        package="spire.locator",
        tables="locator",
    ),
    ServerKind(
        name="uid",
        tap="spire-uid",
        module="spire.uid.tap",
        account="uid_service",
        ports={"uid_service": 20900},
        package="spire.uid",
        tables="uid",
    ),
    ServerKind(
        name="definitions",
        tap="spire-definitions",
        module="spire.definitions.tap",
        account="definitions_service",
        ports={"definitions_service": 20200},
        package="spire.definitions",
        tables="definitions",
    ),
    ServerKind(
        name="administration",
        tap="spire-administration",
        module="spire.administration.tap",
        account="administration_service",
        ports={"administration_service": 20100},
        package="spire.administration",
        tables="administration",
    ),
    ServerKind(
        name="market-data",
        tap="spire-market-data",
        module="spire.marketdata.tap",
        account="market_data_service",
        ports={"market_data_service": 20300, "market_data_feed_service": 20400},
        package="spire.marketdata",
        tables="marketdata",
    ),
    ServerKind(
        name="market-data-relay",
        tap="spire-market-data-relay",
        module="spire.relay.tap",
        account="market_data_relay_service",
        ports={"market_data_relay_service": 22300},
    ),
    ServerKind(
        name="charting",
        tap="spire-charting",
        module="spire.charting.tap",
        account="charting_service",
        ports={"charting_service": 21400},
    ),
    ServerKind(
        name="compliance",
        tap="spire-compliance",
        module="spire.compliance.tap",
        account="compliance_service",
        ports={"compliance_service": 21900},
        package="spire.compliance",
        tables="compliance",
    ),
    ServerKind(
        name="order-execution",
        tap="spire-order-execution",
        module="spire.execution.tap",
        account="order_execution_service",
        ports={"order_execution_service": 20700},
        package="spire.execution",
        tables="execution",
    ),
    ServerKind(
        name="risk",
        tap="spire-risk",
        module="spire.risk.tap",
        account="risk_service",
        ports={"risk_service": 20600},
        package="spire.risk",
        tables="risk",
    ),
)

FEEDS = (
    ServerKind(
        name="simulation-feed",
        tap="spire-simulation-feed",
        module="spire.feeds.simulation_tap",
        account="simulation_feed",
        ports={},
    ),
    ServerKind(
        name="replay-feed",
        tap="spire-replay-feed",
        module="spire.feeds.replay_tap",
        account="replay_feed",
        ports={},
    ),
)

KINDS = {kind.name: kind for kind in (*SERVERS, *FEEDS)}
"""Each kind once, by the name of its first process."""


def _relays(first: ServerKind) -> tuple[ServerKind, ...]:
    """Return all relays that an instance may have, the first one included."""
    further = (
        evolve(
            first,
            name=f"{first.name}-{number}",
            ports={service: port + number - 1 for service, port in first.ports.items()},
            of=first.name,
        )
        for number in range(2, MOST_RELAYS + 1)
    )
    return (first, *further)


RELAYS = _relays(KINDS[RELAY])
PROCESSES = {
    process.name: process for kind in KINDS.values() for process in (RELAYS if kind.name == RELAY else (kind,))
}
"""Every process that an instance may have, by name, in start order."""


def kind_of(name: str) -> ServerKind:
    """Return the process called `name`; ValueError lists those there are."""
    if name not in PROCESSES:
        raise ValueError(f"no server {name}: there are {', '.join(PROCESSES)}")
    return PROCESSES[name]
