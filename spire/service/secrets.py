"""Files that a configuration names: public text, and secrets that only their owner may read."""

import stat
from pathlib import Path

from attrs import field, frozen


@frozen
class TextFile:
    """A file that everybody may read, and its text (a certificate, a public key)."""

    path: Path
    text: str = field(repr=False)

    @property
    def content(self) -> bytes:
        """The text as bytes."""
        return self.text.encode()


@frozen
class Secret:
    """A secret, and the file that holds it; never shown by `repr`.

    `text` is the file's text without the line end at its end.
    """

    path: Path
    text: str = field(repr=False)

    @property
    def content(self) -> bytes:
        """The text as bytes."""
        return self.text.encode()


def read_text(path: Path) -> TextFile:
    """Read a public file; ValueError says what is wrong with it."""
    return TextFile(path, _text(path))


def read_secret(path: Path) -> Secret:
    """Read a secret file; ValueError if it is missing, empty, or open to others than its owner."""
    text = _text(path).rstrip("\r\n")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ValueError(f"{path} has mode {mode:o}: others can read it; chmod 600 it")
    if not text:
        raise ValueError(f"{path} is empty; it must hold the secret")
    return Secret(path, text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error.__class__.__name__}") from error
