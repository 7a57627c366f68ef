"""Strict configuration: a TOML file becomes one frozen attrs value, or is refused with file, line and key.

A section is a frozen attrs class. A key is a field: one without default is required, one that the class does not have is
refused. Types understood: `str`, `int`, `float`, `bool`, `Path` (relative to the file), `TextFile` and `Secret` (a path, the
file is read), enumerations by name, nested sections, `X | None`, `tuple[X, ...]` and `dict[str, X]`. Any other type
(an amount, a venue) names its parser: `setting(parse=parse_money)`.
"""

import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from os.path import normpath
from pathlib import Path
from typing import Any, TypeVar

import attrs

from spire.service.secrets import Secret, TextFile, read_secret, read_text
from spire.service.toml_lines import Path as KeyPath
from spire.service.toml_lines import line_of, lines_of_keys

C = TypeVar("C")
_MISSING = object()


class ConfigurationError(ValueError):
    """A configuration that cannot be used; the message begins with `file:line: key:`."""


def setting(
    *, parse: Callable[[Any], Any] | None = None, default: Any = _MISSING, factory: Callable[[], Any] | None = None
) -> Any:
    """Declare a key: `parse` turns the TOML value into the field's value and raises ValueError to refuse it."""
    options: dict[str, Any] = {} if parse is None else {"metadata": {"parse": parse}}
    if factory is not None:
        options["factory"] = factory
    elif default is not _MISSING:
        options["default"] = default
    return attrs.field(**options)


def load(path: Path, configuration_type: type[C]) -> C:
    """Read `path` as `configuration_type`; ConfigurationError names file, line and key of the first fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.__class__.__name__}") from error
    return parse(text, configuration_type, path)


def parse(text: str, configuration_type: type[C], path: Path) -> C:
    """Parse the text of the configuration file `path`; other files that it names are read."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    try:
        value = _Reader(path.parent).section(data, configuration_type, ())
    except _Refused as refused:
        line = line_of(refused.path, lines_of_keys(text))
        name = ".".join(str(part) for part in refused.path) or "the file"
        raise ConfigurationError(f"{path}:{line}: {name}: {refused.reason}") from refused
    return typing.cast("C", value)


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    def __init__(self, path: KeyPath, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


class _Reader:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def section(self, data: Mapping[str, Any], section_type: type[Any], path: KeyPath) -> Any:
        attrs.resolve_types(section_type)
        fields = {attribute.name: attribute for attribute in attrs.fields(section_type) if attribute.init}
        for name in data:
            if name not in fields:
                raise _Refused((*path, name), f"unknown key; known here: {', '.join(sorted(fields)) or 'none'}")
        values: dict[str, Any] = {}
        for name, attribute in fields.items():
            if name in data:
                values[name] = self._field(data[name], attribute, (*path, name))
            elif attribute.default is attrs.NOTHING:
                raise _Refused((*path, name), "missing; it is required")
        try:
            return section_type(**values)
        except ValueError as error:
            raise _Refused(path, str(error)) from error

    def _field(self, data: Any, attribute: "attrs.Attribute[Any]", path: KeyPath) -> Any:
        parser = attribute.metadata.get("parse")
        if parser is None:
            return self._value(data, attribute.type, path)
        try:
            return parser(data)
        except (ValueError, TypeError) as error:
            raise _Refused(path, str(error)) from error

    def _value(self, data: Any, kind: Any, path: KeyPath) -> Any:
        origin = typing.get_origin(kind)
        if origin in (types.UnionType, typing.Union):
            (kind,) = (choice for choice in typing.get_args(kind) if choice is not types.NoneType)
            return self._value(data, kind, path)
        if origin is tuple:
            items = _expect(data, list, "an array", path)
            return tuple(self._value(item, typing.get_args(kind)[0], (*path, i)) for i, item in enumerate(items))
        if origin is dict:
            table = _expect(data, dict, "a table", path)
            return {name: self._value(item, typing.get_args(kind)[1], (*path, name)) for name, item in table.items()}
        if attrs.has(kind) and kind not in (TextFile, Secret):
            return self.section(_expect(data, dict, "a table", path), kind, path)
        return self._scalar(data, kind, path)

    def _scalar(self, data: Any, kind: Any, path: KeyPath) -> Any:
        if kind in _PLAIN:
            if kind is float and type(data) is int:
                return float(data)
            return _expect(data, kind, _PLAIN[kind], path)
        text = _expect(data, str, "a string", path)
        if kind in (Path, TextFile, Secret):
            place = Path(normpath(self._directory / text))
            try:
                return place if kind is Path else (read_text if kind is TextFile else read_secret)(place)
            except ValueError as error:
                raise _Refused(path, str(error)) from error
        if isinstance(kind, type) and issubclass(kind, Enum):
            if text not in kind.__members__:
                raise _Refused(path, f"{text} is none of {', '.join(kind.__members__)}")
            return kind[text]
        raise TypeError(f"{kind} has no parser: declare the key with setting(parse=...)")


_PLAIN: dict[type, str] = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}


def _expect(data: Any, kind: type, name: str, path: KeyPath) -> Any:
    if type(data) is not kind:
        raise _Refused(path, f"must be {name}, is {data!r}")
    return data
