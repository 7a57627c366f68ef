"""A login that a shell keeps: the session's id and its key in a file that only its owner reads."""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from spire.values.environment import Environment


class NoLogin(LookupError):  # noqa: N818 - it says what was looked for
    """There is no login to go on with; the message says what to do."""


@frozen(kw_only=True)
class CachedLogin:
    """A login session at the Locator and the private key (raw Ed25519) that proves it.

    Together they stand for the account until the session ends: `spire logout`, or 12 hours without use.
    """

    account: str
    environment: Environment
    login_session: str
    key: bytes = field(repr=False)


def login_file(environ: Mapping[str, str], home: Path) -> Path:
    """Return where the login of a deployment is kept: `SPIRE_LOGIN` names the file, else it lies in the user's folder."""
    if environ.get("SPIRE_LOGIN"):
        return Path(environ["SPIRE_LOGIN"])
    folder = Path(environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "/")) / ".local" / "state") / "spire"
    return folder / (home.resolve().as_posix().strip("/").replace("/", "-") + ".json")


def save(path: Path, login: CachedLogin) -> None:
    """Write the login with mode 600, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps(
        {
            "account": login.account,
            "environment": login.environment.name,
            "login_session": login.login_session,
            "key": b64encode(login.key).decode(),
        }
    )
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    fresh.replace(path)


def read(path: Path) -> CachedLogin:
    """Return the login that was kept. Raises NoLogin where there is none, or where others can read it."""
    advice = "log in: spire login ACCOUNT"
    try:
        if path.stat().st_mode & 0o077:
            raise NoLogin(f"{path} can be read by others, so its login is not used; remove it and {advice}")
        found = json.loads(path.read_text(encoding="utf-8"))
        return CachedLogin(
            account=found["account"],
            environment=Environment[found["environment"]],
            login_session=found["login_session"],
            key=b64decode(found["key"], validate=True),
        )
    except FileNotFoundError:
        raise NoLogin(f"Nobody is logged in here; {advice}") from None
    except (KeyError, TypeError, ValueError):
        raise NoLogin(f"{path} holds no login; remove it and {advice}") from None


def forget(path: Path) -> None:
    """Remove the login, if there is one."""
    path.unlink(missing_ok=True)
