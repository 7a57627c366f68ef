"""Brings the tables and the first directory of an instance into its database: `python -m spire.operations.prepare HOME`.

A process of its own, because it needs a reactor and what starts it (a script, a test) may have none or another.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from spire.database.address import DatabaseAddress
from spire.database.database import Database
from spire.database.migrations import load_steps, migrate
from spire.locator.bootstrap import SERVICE_ACCOUNTS, DirectorySetup, NewTrader, setup_directory
from spire.locator.passwords import HashCost, PasswordHashes
from spire.locator.store import LocatorStore
from spire.operations.layout import Layout
from spire.operations.servers import DATABASE_USER, SERVERS
from spire.operations.settings import InstanceSettings, read_settings
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.service.databases import open_database
from spire.service.secrets import read_secret
from spire.service.sections import DatabaseSection


def database_section(layout: Layout, settings: InstanceSettings, address: str) -> DatabaseSection:
    """Return the database as this instance's servers see it."""
    return DatabaseSection(
        addresses=(DatabaseAddress.parse(address),),
        user=DATABASE_USER,
        password_file=read_secret(layout.secret("database")),
        schema=settings.schema,
    )


def directory_setup(layout: Layout, settings: InstanceSettings) -> DirectorySetup:
    """Return the first accounts, with the passwords that stand in the instance's secret files."""

    def secret(account: str) -> str:
        return read_secret(layout.secret(account)).text

    return DirectorySetup(
        administrator=settings.administrator,
        administrator_password=secret(settings.administrator),
        service_secrets={name: secret(name) for name in SERVICE_ACCOUNTS if layout.secret(name).exists()},
        traders=(
            NewTrader(name=settings.trader, password=secret(settings.trader), currency=settings.currency),
            NewTrader(name=settings.market_data_account, password=secret(settings.market_data_account), currency=None),
        ),
    )


async def prepare(layout: Layout, address: str, clock: Clock) -> None:
    """Apply every room's migrations and write what the directory lacks."""
    settings = read_settings(layout.settings)
    database = open_database(database_section(layout, settings, address), clock, Metrics())
    await database.start()
    try:
        await _migrate(database)
        hashes = PasswordHashes(deferToThread, cost=HashCost())
        setup = directory_setup(layout, settings)
        await setup_directory(LocatorStore(database), hashes, setup, now=clock.now(), random_bytes=os.urandom)
    finally:
        await database.stop()


async def _migrate(database: Database) -> None:
    holder = f"{socket.gethostname()}:{os.getpid()}"
    for kind in SERVERS:
        if kind.package is not None and kind.tables is not None:
            await migrate(database, kind.tables, load_steps(kind.package, kind.tables), holder)


def main(home: str, address: str) -> None:
    """Run it, and exit with its status."""

    def begin(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(prepare(Layout(Path(home)), address, Clock(reactor)))

    react(begin)


if __name__ == "__main__":
    main(*sys.argv[1:])
