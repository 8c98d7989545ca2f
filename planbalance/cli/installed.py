"""How planbalance was installed, and the command that adds an extra to it. Imported only where an extra is missing."""

import json
import os
import re
import shlex
import site
import sys
import sysconfig
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import planbalance

# How the hints of the code name an extra; the command line prints the command that works here instead.
_HINT: Final = re.compile(r"(?:python -m )?pip install 'planbalance\[([a-z0-9-]+)\]'")


class Installation(NamedTuple):
    """What decides how an extra is added.

    Attributes:
        prefix: the environment that planbalance runs in.
        python: its interpreter.
        source: the folder of a checkout: one that is installed as editable, or is used as it lies there; else "".
        url: where a wheel or an archive was installed from, else "".
        is_active: the environment's `python` is the one on the PATH.
        has_pip: pip is installed in it.
        options: what pip needs beside its usual words: `--user`, `--break-system-packages`.
    """

    prefix: str
    python: str
    source: str = ""
    url: str = ""
    is_active: bool = False
    has_pip: bool = True
    options: tuple[str, ...] = ()


def with_commands(text: str) -> str:
    """Return a text in which the hint for a missing extra is the command that works for this installation."""
    return _HINT.sub(lambda match: install_command(match[1]), text)


def install_command(extra: str, here: Installation | None = None) -> str:
    """Return the command that adds an extra to this installation, or to the one that is given."""
    here = here or this_installation()
    wanted = f"{here.source or 'planbalance'}[{extra}]"
    if os.path.isfile(f"{here.prefix}/pipx_metadata.json"):
        words = ["pipx", "runpip", os.path.basename(here.prefix), "install", *_editable(here), wanted]
    elif os.path.isfile(f"{here.prefix}/uv-receipt.toml"):
        wanted = f"{here.source or 'planbalance'}[{','.join(sorted({extra, *_extras_of_tool(here.prefix)}))}]"
        asked = wanted if here.source or not here.url else f"{wanted} @ {here.url}"
        words = ["uv", "tool", "install", *_editable(here), asked]
    elif here.has_pip:
        python = "python" if here.is_active else here.python
        words = [python, "-m", "pip", "install", *here.options, *_editable(here), wanted]
    else:
        words = ["uv", "pip", "install", "--python", here.python, *_editable(here), wanted]
    return shlex.join(words)


def _extras_of_tool(prefix: str) -> list[str]:
    """Return the extras that uv installed the tool with: another call of it would take them away."""
    try:
        with open(f"{prefix}/uv-receipt.toml", "rb") as file:
            asked = tomllib.load(file)["tool"]["requirements"]
        return [str(extra) for one in asked if one["name"] == "planbalance" for extra in one.get("extras", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _editable(here: Installation) -> list[str]:
    return ["-e"] if here.source else []


def this_installation() -> Installation:
    """Return how the running planbalance was installed."""
    try:
        found: Distribution | None = distribution("planbalance")
    except PackageNotFoundError:  # a checkout on the path
        found = None
    url, editable = _origin(found)
    source = _checkout() if found is None else unquote(urlsplit(url).path) if editable else ""
    active = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX") or ""
    return Installation(
        prefix=sys.prefix,
        python=sys.executable,
        source=source,
        url=url,
        is_active=bool(active) and os.path.realpath(active) == os.path.realpath(sys.prefix),
        has_pip=find_spec("pip") is not None,
        options=_pip_options(found),
    )


def _origin(found: Distribution | None) -> tuple[str, bool]:
    """Return where a distribution was installed from by its `direct_url.json` (PEP 610), and whether as editable."""
    try:
        document = json.loads((found.read_text("direct_url.json") if found is not None else "") or "{}")
        return str(document.get("url", "")), bool(document.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return "", False


def _checkout() -> str:
    """Return the folder of the checkout that this code lies in; "" where it lies in none."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(planbalance.__file__)))
    return folder if os.path.isfile(f"{folder}/pyproject.toml") else ""


def _pip_options(found: Distribution | None) -> tuple[str, ...]:
    """Return the options that pip needs outside of an environment."""
    if sys.prefix != sys.base_prefix or os.path.isdir(f"{sys.prefix}/conda-meta"):
        return ()
    place = os.path.realpath(str(found.locate_file(""))) if found is not None else ""
    options = ("--user",) if place == os.path.realpath(site.getusersitepackages()) else ()
    managed = os.path.isfile(f"{sysconfig.get_path('stdlib')}/EXTERNALLY-MANAGED")  # PEP 668
    return (*options, "--break-system-packages") if managed else options
