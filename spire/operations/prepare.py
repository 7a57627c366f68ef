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

from spire.administration.bootstrap import AdministrationSetup, setup_administration
from spire.administration.store import AdministrationStore
from spire.database.address import DatabaseAddress
from spire.database.database import Database
from spire.database.migrations import load_steps, migrate
from spire.locator.bootstrap import MARKET_DATA_ALL, SERVICE_ACCOUNTS, DirectorySetup, NewTrader, setup_directory
from spire.locator.directory import Directory
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
from spire.uid.store import UidStore
from spire.values.codes import Currency


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
            NewTrader(
                name=settings.market_data_account,
                password=secret(settings.market_data_account),
                currency=None,
                capabilities=(MARKET_DATA_ALL,),
            ),
        ),
    )


def administration_setup(directory: Directory, settings: InstanceSettings) -> AdministrationSetup:
    """Return who gets limits and market data: the first trader, as the directory has him."""
    trader = directory.account(settings.trader)
    book = directory.find(f"trading_groups/demo/accounts/{settings.trader}")
    return AdministrationSetup(
        trading_accounts=() if book is None else (book.entry_id,),
        accounts=() if trader is None else (trader.entry_id,),
        currency=Currency(settings.currency),
    )


async def prepare(layout: Layout, address: str, clock: Clock) -> None:
    """Apply every room's migrations, and write what the directory and Administration lack."""
    settings = read_settings(layout.settings)
    database = open_database(database_section(layout, settings, address), clock, Metrics())
    await database.start()
    try:
        await _migrate(database)
        hashes = PasswordHashes(deferToThread, cost=HashCost())
        setup = directory_setup(layout, settings)
        directory = LocatorStore(database)
        await setup_directory(
            directory,
            hashes,
            setup,
            environment=settings.environment,
            now=clock.now(),
            random_bytes=os.urandom,
        )
        await setup_administration(
            AdministrationStore(database),
            administration_setup(Directory((await directory.load_directory()).entries), settings),
            environment=settings.environment,
            now=clock.now(),
            random_bytes=os.urandom,
            next_id=lambda: _reserve(UidStore(database)),
        )
    finally:
        await database.stop()


async def _reserve(ids: UidStore) -> int:
    """Return one identifier, as the Uid Server would give it out."""
    return (await ids.reserve(1, 0)).first


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
