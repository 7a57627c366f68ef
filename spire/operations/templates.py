"""Makes configuration files from the templates in `etc/`."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from spire.operations.layout import CHECKOUT


def templates() -> Traversable | Path:
    """Return the folder of templates and default definitions: in the checkout, or in the installed package."""
    checkout = CHECKOUT / "etc"
    return checkout if (checkout / "uid.toml").is_file() else files("spire") / "etc"


def render(name: str, values: Mapping[str, str]) -> str:
    """Return the template `<name>.toml` with its `${...}` filled in; KeyError for one that has no value."""
    return Template((templates() / f"{name}.toml").read_text(encoding="utf-8")).substitute(values)
