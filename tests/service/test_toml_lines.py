"""Every key of a TOML document is found on its line."""

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from spire.service.toml_lines import line_of, lines_of_keys

DOCUMENT = """\
first = 1
# a comment with = and [brackets]
[server]  # after a header
name = "uid ] service"
list = [
  "a",  # ]
  '''
b]'''
]
after = 2
"quoted.key".inner = 3
[[run]]
x = 1
[[run]]
x = 2
[run.sub]
y = { z = 1 }
"""


class LinesOfKeysTests(SynchronousTestCase):
    """A scanner that follows the values only as far as lines need it."""

    def test_keys_before_any_table_stand_at_the_root(self) -> None:
        """A key of the root table has a path of one name."""
        self.assertEqual(lines_of_keys(DOCUMENT)[("first",)], 1)

    def test_brackets_in_strings_and_comments_do_not_close_an_array(self) -> None:
        """The key after an array of many lines is found on its own line."""
        self.assertEqual(lines_of_keys(DOCUMENT)[("server", "after")], 10)

    def test_a_dotted_key_is_a_path(self) -> None:
        """A quoted part may hold the dot itself."""
        self.assertEqual(lines_of_keys(DOCUMENT)[("server", "quoted.key", "inner")], 11)

    def test_tables_of_an_array_are_told_apart(self) -> None:
        """The second element's key is on the second element's line."""
        self.assertEqual(lines_of_keys(DOCUMENT)[("run", 1, "x")], 15)

    def test_a_key_of_an_inline_table_is_on_its_owners_line(self) -> None:
        """Inline tables fit on a line."""
        self.assertEqual(line_of(("run", 1, "sub", "y", "z"), lines_of_keys(DOCUMENT)), 17)

    def test_a_missing_key_is_on_its_tables_line(self) -> None:
        """What is not there is reported where it should be."""
        self.assertEqual(line_of(("server", "port"), lines_of_keys(DOCUMENT)), 3)

    @settings(max_examples=60)
    @given(
        st.lists(
            st.one_of(
                st.text(st.characters(exclude_categories=["C"]), max_size=12),
                st.lists(st.sampled_from(["[", "]", "#", "'", "=", "\\", "{"]), max_size=4),
            ),
            max_size=6,
        )
    )
    def test_every_key_of_a_generated_document_is_on_its_line(self, values: list[object]) -> None:
        """Whatever stands in strings and arrays, key N is found on the line where it was written."""
        lines: list[str] = []
        wanted: list[int] = []
        for number, value in enumerate(values):
            wanted.append(len(lines) + 1)
            if isinstance(value, str):
                lines.append(f"k{number} = {_quoted(value)}")
            else:
                assert isinstance(value, list)
                lines += [f"k{number} = [", *(f"  {_quoted(item)}, # ]" for item in value), "]"]
        text = "\n".join(lines)
        self.assertEqual(len(tomllib.loads(text)), len(values))
        found = lines_of_keys(text)
        self.assertEqual([found[f"k{number}",] for number in range(len(values))], wanted)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
