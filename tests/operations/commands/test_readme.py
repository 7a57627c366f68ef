"""The README's lines on control do what they say, in the order in which they stand."""

import re
import shlex
from pathlib import Path

import click
from click.testing import Result

from spire.operations import admin, command
from tests.operations.commands.room import CommandTestCase

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS: dict[str, click.Command] = {"bin/spire": command.main, "bin/spire-admin": admin.main}


class ControlTests(CommandTestCase):
    """What a newcomer types, line by line; tests/system/test_readme.py types the rest on real processes."""

    def test_the_lines_on_control_do_what_they_say(self) -> None:
        """A line with a code behind it is refused with that code, any other is carried out."""
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        (block,) = re.findall(r"^```shell\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        shown = {}
        for line in block.splitlines():
            code = re.search(r"# ([A-Z_]+):", line)
            result = self.typed(line)
            self.assertEqual(result.exit_code, 0 if code is None else 1, f"{line}\n{result.stderr}")
            self.assertIn("" if code is None else code[1], result.stderr)
            shown[line] = result.stdout
            self.platform.advance(1.5)
        told = {" ".join(shlex.split(line)[:3]): output for line, output in shown.items()}
        self.assertRegex(told["bin/spire violations"], r"ann +BUY +501 +ACME\.DEMO +max_quantity/\d+ +ACTIVE +500 +501")
        self.assertRegex(told["bin/spire risk"], r"(?m)^ann +ACTIVE ")
        self.assertRegex(told["bin/spire halt list"], r"FIRM +- +NO_OPENING +olga ")
        self.assertRegex(told["bin/spire halt release"], r"(?m)FIRM .* otto +prices are right again$")
        self.assertRegex(told["bin/spire-admin audit --last"], r"(?m) compliance +administrator ")

    def typed(self, line: str) -> Result:
        """Type a line on the instance that stands for `var`; a login is one for both programs from then on."""
        program, *words = shlex.split(line, comments=True)
        self.assertTrue((ROOT / program).stat().st_mode & 0o100, program)
        home = self.platform.instance.home
        words = [str(home / word.removeprefix("var/")) if word.startswith("var/") else word for word in words]
        if words[0] == "login":
            self.account = words[1]
            self.passwords[self.account] = Path(words[3]).read_text().strip()
            return self.invoke("status", main=PROGRAMS[program])
        return self.invoke(*words, main=PROGRAMS[program], account=self.account)
