"""The README keeps its word: what it tells people to type is executed, on an instance as bin/quickstart makes it."""

import os
import re
import shlex
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from spire.values.environment import Environment
from tests.system.case import CHECKOUT, SystemTestCase

FEED = "simulation-feed"


def blocks(language: str) -> list[str]:
    """Return the README's blocks of one language, in order."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


class ReadmeTests(SystemTestCase):
    """What a newcomer types, line by line, with what he sees."""

    environment = Environment.DEMO
    servers = (*SystemTestCase.servers, FEED)

    async def test_the_readme_does_what_it_says(self) -> None:
        """The shell lines show a market, fill an order and show a position; the Python block fills another."""
        shown = {}
        (commands,) = blocks("sh")
        for line in commands.splitlines():
            shown[line.split()[1]] = await self.typed(line)
        self.assertEqual(
            list(shown), ["login", "status", "quotes", "chart", "order", "positions"], "the README's six lines"
        )
        self.assertIn("Logged in as demo_trader (DEMO)", shown["login"])
        self.assertNotIn("not registered", shown["status"])
        self.assertRegex(shown["quotes"], r"(?m)^ACME\.DEMO +\d+ +\d+\.\d\d +\d+\.\d\d +\d+ ")
        self.assertRegex(shown["quotes"], r"(?m)^BLUE\.DEMO +\d+ +\d+\.\d\d +\d+\.\d\d +\d+ ")
        self.assertRegex(shown["order"], r"(?m)^ *\d+ +demo_trader +BUY +100 +ACME\.DEMO +MARKET +- +DAY +FILLED +100 ")
        self.assertRegex(shown["positions"], r"(?m)^demo_trader +ACME\.DEMO +100 ")
        (program,) = blocks("python")
        (promise,) = re.findall(r"^It prints `([^`]+)`", (CHECKOUT / "README.md").read_text("utf-8"), re.MULTILINE)
        self.assertEqual((await self.execute([sys.executable, "-c", program])).strip(), promise)
        self.assertRegex(await self.typed("bin/spire positions"), r"(?m)^demo_trader +ACME\.DEMO +200 ")

    async def typed(self, line: str) -> str:
        """Return what a line of the README prints, `bin/spire` being the command that it stands for."""
        program, *words = shlex.split(line)
        self.assertEqual(program, "bin/spire")
        self.assertTrue(os.access(CHECKOUT / program, os.X_OK))
        return await self.execute([sys.executable, "-m", "spire", *words])

    async def execute(self, command: list[str]) -> str:
        """Run a command as somebody would who stands in the checkout, its instance being the one in `var`."""
        here: Path = self.instance.home.parent
        environ = {name: value for name, value in os.environ.items() if name not in ("SPIRE_HOME", "SPIRE_LOGIN")}
        environ |= {"PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": str(here / "state")}
        program, *words = command
        out, err, status = await getProcessOutputAndValue(program, words, environ, str(here))
        self.assertEqual(status, 0, err.decode())
        return out.decode()
