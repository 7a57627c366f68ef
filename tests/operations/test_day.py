"""Which date the firm has, and what is refused before anybody is asked to open it."""

import io
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from spire.operations.commands.output import Output
from spire.operations.day import FIRM_ZONE, KEPT_ADVICE, firm_date, firm_zone, main, show_opened
from spire.operations.layout import Layout
from spire.risk.values import ALREADY_OPEN, KEPT, OPENED, OpenedAccount
from spire.values.risk import RiskMode
from spire.values.time import parse_timestamp
from spire.wire.errors import Invalid

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOYMENT = 'environment = "DEMO"\n[locator]\naddresses = ["127.0.0.1:1"]\nauthority = "../authority.pem"\n'


class FirmDateTests(SynchronousTestCase):
    """The firm's day begins at its own midnight."""

    def setUp(self) -> None:
        self.layout = Layout(Path(self.mktemp()).absolute())
        self.layout.etc.mkdir(parents=True)

    def write(self, text: str) -> None:
        """Write Administration's configuration."""
        self.layout.configuration("administration").write_text(text)

    def test_late_in_the_evening_it_is_still_yesterday_in_new_york(self) -> None:
        """By UTC the next day has begun; after midnight there it has."""
        self.assertEqual(firm_date(parse_timestamp("2013-10-08T03:59:59Z"), "America/New_York"), "2013-10-07")
        self.assertEqual(firm_date(parse_timestamp("2013-10-08T04:00:00Z"), "America/New_York"), "2013-10-08")

    def test_the_zone_is_administrations(self) -> None:
        """It decides which dates have come; what other servers are told does not count."""
        self.layout.configuration("order-execution").write_text('[order_execution]\nfirm_zone = "Europe/Zurich"\n')
        self.write('[administration]\nfirm_zone = "Asia/Tokyo"\n')
        self.assertEqual(firm_zone(self.layout), "Asia/Tokyo")

    def test_without_one_it_is_new_york(self) -> None:
        """As for Administration."""
        self.write("[run]\n")
        self.assertEqual(firm_zone(self.layout), FIRM_ZONE)

    def test_a_zone_that_there_is_not_is_refused_with_its_file(self) -> None:
        """Nobody guesses a date."""
        self.write('[administration]\nfirm_zone = "America/Gotham"\n')
        error = self.assertRaises(Invalid, firm_zone, self.layout)
        self.assertIn("America/Gotham", error.message)
        self.assertIn("administration.toml", error.message)

    def test_without_a_configuration_it_is_refused(self) -> None:
        """On a machine that only has the client's file."""
        self.assertIn("administration.toml", self.assertRaises(Invalid, firm_zone, self.layout).message)


class TellingTests(SynchronousTestCase):
    """What is told of a day that was opened."""

    def told(self, *accounts: OpenedAccount) -> tuple[list[str], str]:
        """Return the outcomes as they are listed, and what is noted beside them."""
        stdout, stderr = io.StringIO(), io.StringIO()
        names = cast("Any", SimpleNamespace(of=lambda number: succeed(f"account {number}")))
        output = Output(as_json=True, stdout=stdout, stderr=stderr)
        self.successResultOf(Deferred.fromCoroutine(show_opened(output, "2013-10-08", accounts, names)))
        rows = [json.loads(line) for line in stdout.getvalue().splitlines()]
        return [row["outcome"] for row in rows[1:]], " ".join(stderr.getvalue().split())

    def test_what_needs_somebody_comes_first_with_what_he_may_do(self) -> None:
        """Accounts without a mark need nobody: Risk goes on by itself."""
        outcomes, note = self.told(
            OpenedAccount(trading_account_id=1, outcome=OPENED, mode=RiskMode.ACTIVE),
            OpenedAccount(trading_account_id=2, outcome=KEPT, mode=RiskMode.ACTIVE, reason="no mark of BAC"),
        )
        self.assertEqual(outcomes, [KEPT, OPENED])
        self.assertIn(KEPT_ADVICE, note)

    def test_under_a_persons_halt_nothing_is_advised(self) -> None:
        """The account is open; the halt is named beside it, and stays."""
        halted = OpenedAccount(trading_account_id=1, outcome=OPENED, mode=RiskMode.ACTIVE, reason="halt 7 is in force")
        outcomes, note = self.told(
            halted, OpenedAccount(trading_account_id=2, outcome=ALREADY_OPEN, mode=RiskMode.ACTIVE)
        )
        self.assertEqual(outcomes, [OPENED, ALREADY_OPEN])
        self.assertNotIn("release", note)


class ScriptTests(SynchronousTestCase):
    """The script's own refusals, and its file."""

    def setUp(self) -> None:
        self.layout = Layout(Path(self.mktemp()).absolute())
        self.layout.etc.mkdir(parents=True)

    def run_script(self, *words: str) -> Result:
        """Run it in this process."""
        return CliRunner().invoke(main, ["--home", str(self.layout.home), "--json", *words])

    def test_without_an_instance_it_says_how_one_is_made(self) -> None:
        """As every command does."""
        result = self.run_script()
        self.assertEqual(result.exit_code, 1)
        self.assertIn("bin/quickstart", json.loads(result.stderr)["error"]["message"])

    def test_without_its_secret_it_says_how_that_is_made(self) -> None:
        """An instance of an earlier release has none until set-up runs again."""
        (self.layout.home / "authority.pem").write_text("")
        self.layout.configuration("client").write_text(DEPLOYMENT)
        self.layout.configuration("administration").write_text("")
        result = self.run_script("--date", "2013-10-07")
        self.assertEqual(result.exit_code, 1)
        error = json.loads(result.stderr)["error"]
        self.assertEqual(error["code"], "INVALID")
        self.assertIn("bin/manage setup", error["message"])

    def test_the_file_is_run_by_any_python_of_the_machine(self) -> None:
        """It goes on with that of the checkout, whoever calls it from wherever."""
        script = ROOT / "bin" / "reset_risk_states.py"
        self.assertTrue(os.access(script, os.X_OK))
        done = subprocess.run([script, "--help"], capture_output=True, text=True, cwd="/", check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Usage: bin/reset_risk_states.py", done.stdout)
