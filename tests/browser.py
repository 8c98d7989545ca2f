"""A real Chromium for tests, where it is: Debian's, driven by playwright-core, judged by axe-core, both from npm.

`.ci/browser` gets what is needed, into .browser here or where PLANBALANCE_NODE_MODULES says. Screenshots stay where
PLANBALANCE_SCREENSHOTS says, if it does.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
MODULES = os.environ.get("PLANBALANCE_NODE_MODULES") or os.fspath(REPOSITORY / ".browser/node_modules")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")

needs_browser = (
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here"),
    pytest.mark.skipif(
        not all(os.path.isdir(f"{MODULES}/{name}") for name in ("playwright-core", "axe-core")),
        reason="there is no playwright-core and axe-core here: run .ci/browser",
    ),
    # One worker of xdist for all of them: each result is made once.
    pytest.mark.xdist_group("browser"),
)


def browsed(
    driver: Path, page: Path, name: str, tmp_path: Path, *, windows: str = "light", purpose: str = "use"
) -> dict[str, Any]:
    """Open a page as a driver does in these windows, and return what it saw; its screenshots are below `name`."""
    shots = Path(os.environ.get("PLANBALANCE_SCREENSHOTS") or tmp_path) / name
    shots.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["node", str(driver), str(page), str(shots), CHROMIUM, windows, purpose],
        env={**os.environ, "NODE_PATH": MODULES},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
