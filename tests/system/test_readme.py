"""The README keeps its word: what it tells people to type is executed, top to bottom, on an instance as bin/quickstart makes it."""

import os
import re
import shlex
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from spire.values.environment import Environment
from tests.system.case import CHECKOUT, SystemTestCase

FEED = "simulation-feed"
PROGRAMS = {"bin/spire": "spire", "bin/spire-admin": "spire.operations.admin"}


def blocks(language: str) -> list[str]:
    """Return the README's blocks of one language, in order."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


class ReadmeTests(SystemTestCase):
    """What a newcomer types, line by line, with what he sees."""

    environment = Environment.DEMO
    servers = (*SystemTestCase.servers, FEED)

    async def test_the_readme_does_what_it_says(self) -> None:
        """The first lines show a market, fill an order and show a position; those on control stop and release; the Python block fills another order."""
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
        await self.check_control()
        (program,) = blocks("python")
        (promise,) = re.findall(r"^It prints `([^`]+)`", (CHECKOUT / "README.md").read_text("utf-8"), re.MULTILINE)
        self.assertEqual((await self.execute([sys.executable, "-c", program])).strip(), promise)
        self.assertRegex(await self.typed("bin/spire positions"), r"(?m)^demo_trader +ACME\.DEMO +200 ")

    async def check_control(self) -> None:
        """Type the lines on control; a line with a code behind it is refused with that code, any other is carried out."""
        shown: dict[str, str] = {}
        (commands,) = blocks("shell")
        for line in commands.splitlines():
            code = re.search(r"# ([A-Z_]+):", line)
            shown[line.partition(" --")[0]] = await self.typed(line, None if code is None else code[1])
        self.assertRegex(
            shown["bin/spire violations"], r"ann +BUY +501 +ACME\.DEMO +max_quantity/\d+ +ACTIVE +500 +501"
        )
        self.assertRegex(
            shown["bin/spire order submit buy 100 ACME.DEMO"], r"(?m)^ *\d+ +ann +BUY +100 .* FILLED +100 "
        )
        self.assertRegex(shown["bin/spire risk"], r"(?m)^ann +ACTIVE ")
        self.assertRegex(shown["bin/spire-admin audit"], r"(?m) compliance +administrator +- ")
        self.assertRegex(shown["bin/spire halt list"], r"FIRM +- +NO_OPENING +olga .* prices cannot be right$")
        self.assertRegex(shown["bin/spire halt release"], r"FIRM +- +NO_OPENING +olga .* otto +prices are right again$")

    async def typed(self, line: str, refusal: str | None = None) -> str:
        """Return what a line of the README prints, each program being the module that it stands for; or refuse it with a code."""
        program, *words = shlex.split(line, comments=True)
        self.assertTrue(os.access(CHECKOUT / program, os.X_OK))
        return await self.execute([sys.executable, "-m", PROGRAMS[program], *words], refusal)

    async def execute(self, command: list[str], refusal: str | None = None) -> str:
        """Run a command as somebody would who stands in the checkout, its instance being the one in `var`."""
        here: Path = self.instance.home.parent
        environ = {name: value for name, value in os.environ.items() if name not in ("SPIRE_HOME", "SPIRE_LOGIN")}
        environ |= {"PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": str(here / "state")}
        program, *words = command
        out, err, status = await getProcessOutputAndValue(program, words, environ, str(here))
        if refusal is None:
            self.assertEqual(status, 0, f"{words}: {err.decode()}")
        else:
            self.assertEqual((status, err.decode().partition(" ")[0]), (1, refusal), err.decode())
        return out.decode()
