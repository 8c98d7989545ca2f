"""Run tests on every other supported Python that this machine has: `make test-pythons` gives pytest's arguments.

`PLANBALANCE_PYTHONS` may name the versions, with commas; CI names the newest one, because each takes two minutes.
The Python that runs this is left to `make test`, and its pip installs for the others. They are found on the PATH and
among pyenv's versions; each gets an environment of its own, `.venv-<version>`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")
HOME = Path(__file__).resolve().parent.parent


def candidates(version: str) -> Iterator[str]:
    """Yield interpreters that may be this version: on the PATH, then pyenv's."""
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python")))


def interpreter(version: str) -> str | None:
    """Return an interpreter that really is this version (a pyenv shim may refuse to run)."""
    for path in candidates(version):
        said = subprocess.run(
            [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if said.stdout.strip() == version:
            return path
    return None


def tested(version: str, python: str) -> bool:
    """Install the project and its test tools in an environment of this Python, and run the tests there."""
    venv = HOME / f".venv-{version}"
    inside = str(venv / "bin" / "python")
    if not (venv / ".dev").exists():
        subprocess.run([python, "-m", "venv", "--without-pip", "--clear", venv], check=True)
        pip = (sys.executable, "-m", "pip", "--python", inside)
        subprocess.run([*pip, "install", "--quiet", "--editable", ".", "--group", "test"], cwd=HOME, check=True)
        (venv / ".dev").touch()
    return subprocess.run([inside, "-m", "pytest", *sys.argv[1:]], cwd=HOME, check=False).returncode == 0


def main() -> int:
    """Test every Python found; 1 if one failed or none was there."""
    results = {}
    own = ".".join(map(str, sys.version_info[:2]))
    for version in os.environ.get("PLANBALANCE_PYTHONS", ",".join(SUPPORTED)).split(","):
        if version == own:
            continue
        if python := interpreter(version):
            print(f"== Python {version}: {python}", flush=True)
            results[version] = tested(version, python)
        else:
            print(f"== Python {version}: not on this machine, skipped", flush=True)
    print(
        "pythons:",
        ", ".join(f"{version} {'passed' if ok else 'FAILED'}" for version, ok in results.items()) or "none found",
    )
    return 0 if results and all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
