"""What the audit logs of the rooms cost to ask."""

import re
from importlib.resources import files
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from spire.database.audit import statement
from spire.testing.database import DatabaseTestCase
from spire.values.audit import AuditQuery

KEYS = [
    ("action", "action, audit_sequence"),
    ("actor", "actor, audit_sequence"),
    ("entity", "entity, audit_sequence"),
    ("on_behalf_of", "on_behalf_of, audit_sequence"),
    ("time", "time"),
]


def keys(room: str, file: str) -> list[tuple[str, str]]:
    """Return the keys of a room's audit log that are not unique, without the room's name."""
    text = files(f"spire.{room}").joinpath("schema", file).read_text(encoding="utf-8")
    table = text.partition(f"CREATE TABLE {room}_audit_events")[2].partition("ENGINE")[0]
    return sorted(re.findall(rf"^ +KEY {room}_audit_(\w+) \(([^)]*)\)", table, re.MULTILINE))


class AuditKeysTests(SynchronousTestCase):
    """Every room's log has a key for each thing that is asked for."""

    def test_the_service_locators(self) -> None:
        """By entity, actor, whom he acted for, action and time."""
        self.assertEqual(keys("locator", "003_audit.sql"), KEYS)

    def test_administrations(self) -> None:
        """The same."""
        self.assertEqual(keys("administration", "001_administration.sql"), KEYS)

    def test_compliances(self) -> None:
        """The same."""
        self.assertEqual(keys("compliance", "001_compliance.sql"), KEYS)

    def test_order_executions(self) -> None:
        """The same."""
        self.assertEqual(keys("execution", "002_controls.sql"), KEYS)

    def test_risks(self) -> None:
        """The same."""
        self.assertEqual(keys("risk", "001_risk.sql"), KEYS)


class AuditPlanTests(DatabaseTestCase):
    """MariaDB can use the keys."""

    rooms: ClassVar[tuple[tuple[str, str], ...]] = (("spire.risk", "risk"),)

    def possible_keys(self, **query: Any) -> set[str]:
        """Return the keys that MariaDB weighs for a question."""
        sql, parameters = statement("risk_audit_events", AuditQuery(**query))
        ((*_, possible, _, _, _, _, _),) = self.schema.execute(f"EXPLAIN {sql}", parameters)
        return set(possible.split(","))

    async def test_an_actor_is_found_by_two_keys(self) -> None:
        """As who acted and as whom he acted for."""
        self.assertEqual(self.possible_keys(actor=7), {"risk_audit_actor", "risk_audit_on_behalf_of"})

    async def test_an_entity_and_an_action_are_found_by_theirs(self) -> None:
        """Each has one."""
        self.assertEqual(self.possible_keys(entity="account:7"), {"risk_audit_entity"})
        self.assertEqual(self.possible_keys(action="day.open"), {"risk_audit_action"})
