"""The room table: what a room, and what stands above the rooms, may import of another room.

A room shows its values, interfaces, commands, client and pure subject files; its server, responders, stores, tap and
everything that touches the world are its own (docs/architecture.md). The floors are import-linter's (pyproject.toml).
"""

from collections.abc import Iterable

import grimp
from twisted.trial.unittest import SynchronousTestCase

ROOMS = (
    "administration",
    "charting",
    "compliance",
    "definitions",
    "execution",
    "locator",
    "marketdata",
    "relay",
    "risk",
    "uid",
)
# The last three are parts of clients that grew beyond one file.
SHOWN = frozenset({"values", "interfaces", "commands", "client", "calls", "credentials", "codecs"})
HIDDEN = frozenset({"configuration", "drivers", "memory", "responders", "server", "store", "tap", "upstream", "web"})
# What a subject file must not import to count as pure: whatever waits, listens, logs or keeps.
IMPURE = ("twisted", "spire.runtime", "spire.database", "spire.service", "spire.series")
# A declaration of keys, which a file of values may use; nothing is read by importing it.
PURE = ("spire.service.configuration",)
IMPURE_WIRE = ("client_session", "connection", "guard", "publisher", "server_session", "subscriptions", "tls")

Edge = tuple[str, str]


def room_of(module: str) -> str | None:
    """Return the room that `module` belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else None


def violations(edges: Iterable[Edge]) -> list[str]:
    """Return one sentence for each import, given as (importer, imported), that the table does not allow."""
    edges = sorted(edges)
    imports: dict[str, list[str]] = {}
    for importer, imported in edges:
        imports.setdefault(importer, []).append(imported)
    return [
        f"{importer} imports {imported}, which {reason}"
        for importer, imported in edges
        if (reason := _objection(importer, imported, imports)) is not None
    ]


def _objection(importer: str, imported: str, imports: dict[str, list[str]]) -> str | None:
    room = room_of(imported)
    floor = importer.split(".")[1] if "." in importer else ""
    file = imported.split(".")[2] if imported.count(".") > 1 else "__init__"
    if file == "tap" or file.endswith("_tap"):
        # The platform in one process is put together from the taps, as twistd does it.
        return None if floor == "testing" else "only a plugin names"
    if room is None or room_of(importer) == room or floor in ("testing", "operations"):
        return None
    if file in SHOWN or file == "__init__":
        return None
    if file in HIDDEN:
        return f"is {room}'s own"
    impure = [name for name in imports.get(imported, ()) if is_impure(name)]
    return f"is not pure: it imports {impure[0]}" if impure else None


def is_impure(module: str) -> bool:
    """Whether importing `module` takes purity away."""
    if module in PURE:
        return False
    if module.startswith("spire.wire."):
        return module.split(".")[2] in IMPURE_WIRE
    return any(module == name or module.startswith(name + ".") for name in IMPURE)


class RoomTableTests(SynchronousTestCase):
    """The import graph of this checkout."""

    def setUp(self) -> None:
        self.graph = grimp.build_graph("spire", include_external_packages=True, cache_dir=None)

    def edges(self) -> list[Edge]:
        """Return every import of one module by another."""
        return [
            (importer, imported)
            for importer in self.graph.modules
            for imported in self.graph.find_modules_directly_imported_by(importer)
        ]

    def planted(self, importer: str, imported: str) -> list[str]:
        """Return the violations that come with it once `importer` imports `imported` too."""
        known = violations(self.edges())
        for module in (importer, imported):
            self.graph.add_module(module)
        self.graph.add_import(importer=importer, imported=imported)
        return [violation for violation in violations(self.edges()) if violation not in known]

    def test_the_table_holds(self) -> None:
        """No module imports what another room keeps to itself."""
        self.assertEqual(violations(self.edges()), [])

    def test_the_graph_is_not_empty(self) -> None:
        """A check of nothing would pass."""
        self.assertIn(("spire.service.room", "spire.service.container"), self.edges())

    def test_a_planted_import_of_a_server_is_found(self) -> None:
        """One room calls another over the wire only."""
        self.assertEqual(
            self.planted("spire.execution.server", "spire.definitions.server"),
            ["spire.execution.server imports spire.definitions.server, which is definitions's own"],
        )

    def test_a_planted_import_of_a_store_by_the_client_is_found(self) -> None:
        """What stands above the rooms keeps to the table, too."""
        self.assertEqual(len(self.planted("spire.client.spire", "spire.uid.store")), 1)

    def test_a_planted_import_of_a_tap_is_found(self) -> None:
        """Even in its own room."""
        self.assertEqual(
            self.planted("spire.uid.server", "spire.uid.tap"),
            ["spire.uid.server imports spire.uid.tap, which only a plugin names"],
        )

    def test_a_planted_subject_file_that_waits_is_found(self) -> None:
        """A file is pure by what it imports, not by its name."""
        self.graph.add_module("spire.definitions.ledger")
        self.graph.add_module("spire.runtime.clock")
        self.graph.add_import(importer="spire.definitions.ledger", imported="spire.runtime.clock")
        self.assertEqual(
            self.planted("spire.execution.decide", "spire.definitions.ledger"),
            [
                "spire.execution.decide imports spire.definitions.ledger, which is not pure: it imports spire.runtime.clock"
            ],
        )

    def test_the_planted_import_of_a_client_is_allowed(self) -> None:
        """That is what a client is for."""
        self.assertEqual(self.planted("spire.execution.server", "spire.definitions.client"), [])
