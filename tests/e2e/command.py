"""The real command line, as a user or a script types it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def planbalance(*arguments: object, cwd: Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command and assert its exit code; nothing may ever print a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "planbalance", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"exit {done.returncode}, not {code}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr
    return done


def planbalance_json(*arguments: object, cwd: Path, code: int = 0, **environment: str) -> Any:
    """Run with --json and return the one document on stdout."""
    return json.loads(planbalance(*arguments, "--json", cwd=cwd, code=code, **environment).stdout)
