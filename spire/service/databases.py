"""Opens the database that a configuration names."""

from spire.database.connector import Connector, Login
from spire.database.database import Database, DatabaseLimits
from spire.runtime.clock import Clock
from spire.runtime.metrics import Metrics
from spire.service.sections import DatabaseSection


def open_database(section: DatabaseSection, clock: Clock, metrics: Metrics) -> Database:
    """Return the database that a section names; it connects when it is started."""
    login = Login(user=section.user, password=section.password_file.text, schema=section.schema)
    connector = Connector(section.addresses, login, monotonic=clock.monotonic)
    return Database(connector, clock=clock, metrics=metrics, limits=DatabaseLimits(connections=section.connections))
