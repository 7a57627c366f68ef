"""Who follows the rules."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from spire.compliance.rights import may_follow_rules
from spire.values.time import Timestamp
from spire.wire.identity import Identity
from tests.locator.places import ADA, TESS, UID, demo

REGISTERS = "service.register:order_execution_service"


class FollowingTests(SynchronousTestCase):
    """The topic of all rules is for officers and for the platform's servers."""

    def setUp(self) -> None:
        """Make a directory with a server, an administrator and a trader."""
        self.directory = demo()
        self.directory.put(evolve(self.directory.entry(UID), capabilities=(REGISTERS, "day.open")))

    def follows(self, account_id: int, role: str, *capabilities: str) -> bool:
        """Return whether somebody with this ticket may follow the rules."""
        who = Identity(
            account_id=account_id,
            account="who",
            roles=frozenset((role,)),
            capabilities=frozenset(capabilities),
            expires=Timestamp(1),
        )
        return may_follow_rules(self.directory, who)

    def test_servers_and_officers_follow_them(self) -> None:
        """Order Execution decides by them."""
        self.assertTrue(self.follows(UID, "service", REGISTERS))
        self.assertTrue(self.follows(ADA, "administrator"))

    def test_feeds_scripts_and_traders_do_not(self) -> None:
        """A service that may register nothing is no server."""
        self.assertFalse(self.follows(UID, "service", "day.open"))
        self.assertFalse(self.follows(TESS, "trader"))
        self.assertFalse(self.follows(TESS, "administrator"))
