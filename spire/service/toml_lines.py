"""Where each key of a TOML document stands: parsers keep no lines, and a refusal should name one (sans-I/O)."""

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.*?)\s*(\]\]?)\s*(?:#.*)?$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_OPENERS = ('"""', "'''", '"', "'")

Path = tuple[str | int, ...]


def lines_of_keys(text: str) -> dict[Path, int]:
    """Return the line (from 1) of each table and key of a valid TOML document.

    A path is made of names, and of positions in arrays of tables. Keys inside inline tables have no line of their own:
    ask `line_of`, which answers the line of what encloses them.
    """
    found: dict[Path, int] = {(): 1}
    counts: dict[Path, int] = {}
    table: Path = ()
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        header = _HEADER.match(line)
        if header is not None:
            table = _place(tuple(_names(header.group(2))[0]), counts, is_array=header.group(1) == "[[")
            found.setdefault(table, number + 1)
            number += 1
            continue
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            number += 1
            continue
        names, rest = _names(stripped)
        for length in range(1, len(names) + 1):
            found.setdefault((*table, *names[:length]), number + 1)
        number += _height(rest, lines, number)
    return found


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """Return the line of `path`, or of the nearest table or key around it."""
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _place(names: Path, counts: dict[Path, int], *, is_array: bool) -> Path:
    place: Path = ()
    for index, name in enumerate(names):
        place = (*place, name)
        is_last = index == len(names) - 1
        if is_array and is_last:
            counts[place] = counts.get(place, -1) + 1
        if place in counts:
            place = (*place, counts[place])
    return place


def _names(text: str) -> tuple[list[str], str]:
    """Return the dotted key that `text` begins with, and what follows its equals sign."""
    names: list[str] = []
    rest = text.lstrip()
    while rest:
        if rest[0] in "\"'":
            end = _end_of_string(rest, rest[0])
            names.append(rest[1 : end - 1])
        else:
            bare = _BARE.match(rest)
            end = bare.end() if bare is not None else len(rest)
            names.append(rest[:end])
        rest = rest[end:].lstrip()
        if not rest.startswith("."):
            break
        rest = rest[1:].lstrip()
    return names, rest.removeprefix("=")


def _end_of_string(text: str, quote: str) -> int:
    position = len(quote)
    while position < len(text):
        if text[position] == "\\" and quote[0] == '"':
            position += 2
        elif text.startswith(quote, position):
            return position + len(quote)
        else:
            position += 1
    return -1


def _height(value: str, lines: list[str], number: int) -> int:
    """Return how many lines the value takes that begins as `value` on line `number`."""
    text = value
    height = 1
    while not _is_whole(text) and number + height < len(lines):
        text += "\n" + lines[number + height]
        height += 1
    return height


def _is_whole(text: str) -> bool:
    depth = 0
    position = 0
    while position < len(text):
        opener = next((quote for quote in _OPENERS if text.startswith(quote, position)), None)
        if opener is not None:
            end = _end_of_string(text[position:], opener)
            if end < 0:
                return False
            position += end
            continue
        character = text[position]
        if character == "#":
            newline = text.find("\n", position)
            position = len(text) if newline < 0 else newline
            continue
        depth += (character in "[{") - (character in "]}")
        position += 1
    return depth <= 0
