"""What `--version` prints: what a bug report needs, and nothing about the user.

A module of its own, since it is read only when somebody asks for it, and what it imports takes a while.
"""

import locale
import os
import platform
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

_EXTRA: Final = re.compile(r"""extra\s*==\s*['"]([\w.-]+)['"]""")
_NAME: Final = re.compile(r"[\w.-]+")


def version_text() -> str:
    """Return what a bug report needs: the versions of the tool, of Python, of the system and of the used packages."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield f"planbalance {package_version('planbalance')}"
    yield f"Python {platform.python_version()} ({platform.python_implementation()}) at {sys.executable}"
    yield f"{platform.platform()}, {os.cpu_count() or 1} cores, {locale.getpreferredencoding(do_setlocale=False)}"
    needed = requirements()
    yield ", ".join(f"{name} {package_version(name)}" for name in needed.pop("", ()))
    for extra, packages in sorted(needed.items()):
        yield f"extra [{extra}]: {', '.join(f'{name} {package_version(name)}' for name in packages)}"


def package_version(package: str) -> str:
    """Return the installed version, `not installed` where there is none (a checkout on the path)."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def requirements() -> dict[str, list[str]]:
    """Return the packages that the installed tool asks for, by extra; `""` for those that it always needs."""
    try:
        return sorted_by_extra(requires("planbalance") or ())
    except PackageNotFoundError:
        return {}


def sorted_by_extra(lines: Iterable[str]) -> dict[str, list[str]]:
    """Return the packages of requirements as a wheel's metadata has them (PEP 508), by extra."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        name, extra = _NAME.match(line), _EXTRA.search(line)
        if name is not None and name[0] != "planbalance":
            found[extra[1] if extra else ""].append(name[0])
    return dict(found)
