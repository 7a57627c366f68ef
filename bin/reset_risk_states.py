#!/usr/bin/env python3
"""Opens the firm's business day on the instance SPIRE_HOME, or var/ in this checkout (see docs/operations.md)."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"


def main() -> None:
    """Run it with the Python of this checkout: its own environment if it has one, else this one."""
    python = ENVIRONMENT / "bin" / "python"
    if python.is_file() and Path(sys.prefix).resolve() != ENVIRONMENT.resolve():
        os.execv(python, [str(python), __file__, *sys.argv[1:]])  # noqa: S606 - this very file, by another interpreter
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("SPIRE_HOME", str(ROOT / "var"))
    from spire.operations.day import main as open_day  # only here are its dependencies sure to be installed

    open_day(prog_name="bin/reset_risk_states.py")


if __name__ == "__main__":
    main()
