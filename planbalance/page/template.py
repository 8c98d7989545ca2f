"""Templates, style and script of the pages, and how a page is written: one file that loads nothing."""

import base64
import hashlib
import os
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from planbalance import fs, tool_version
from planbalance.errors import UsageError
from planbalance.render.plan_classes import points, span
from planbalance.render.table import plain, size
from planbalance.text import counted, error_text
from planbalance.text_file import hint_to_write, refuse_others_file

MARK: Final = " · planbalance</title>"  # in every page that planbalance wrote, and in no other file


class Written(NamedTuple):
    """A page that was written: where, and how large."""

    path: str
    bytes: int


def page_place(path: str) -> dict[str, str]:
    """Return where a page will be, for `path_safety.refuse_files`, once it is clear that it can be made.

    Raises:
        UsageError: jinja2 is not installed, the file cannot be written, or planbalance did not write the one there.
    """
    path = os.path.abspath(path)
    _jinja2()
    if not os.path.isdir(os.path.dirname(path)) or os.path.isdir(path):
        raise UsageError(
            f"The page cannot be written to {path}: "
            + ("it is a folder." if os.path.isdir(path) else "its folder does not exist."),
            kind="report-not-written",
            hint="Give a file name in a folder that exists.",
            paths=[path],
        )
    refuse_others_file(path, MARK)
    # The file itself may be a link; what counts is where its name is.
    return {"page": f"{os.path.realpath(os.path.dirname(path))}/{os.path.basename(path)}"}


def write_rendered(path: str, data: bytes) -> Written:
    """Write a page in one step. Raises UsageError where it cannot be written."""
    try:
        fs.write_path(path, (data,))
    except OSError as error:
        raise UsageError(
            f"The page cannot be written to {path}: {error_text(error)}.",
            kind="report-not-written",
            hint=hint_to_write(error, len(data)),
            paths=[path],
        ) from error
    return Written(path, len(data))


def rendered(template: str, context: Mapping[str, Any]) -> bytes:
    """Return the bytes of a page, with its style, its script, and a policy that forbids everything else.

    Raises:
        UsageError: jinja2 is not installed.
    """
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    own = {"style": style, "script": script, "policy": policy, "version": tool_version()}
    return str(_environment().get_template(template).render(own | dict(context))).encode("utf-8", "backslashreplace")


def _jinja2() -> Any:  # noqa: ANN401 - jinja2 is an extra
    try:
        import jinja2  # noqa: PLC0415 - an extra: only pages need it
    except ImportError:
        raise UsageError(
            "The page needs jinja2, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[report]'",
        ) from None
    return jinja2


@cache
def _environment() -> Any:  # noqa: ANN401 - jinja2 is an extra
    """Return the template's environment, made once in a process: that is a sixth of the time of a small page."""
    jinja2 = _jinja2()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("planbalance.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "things": counted,
        "bytes": size,
        "plain": plain,
        "sentence": sentence,
        "percent": percent,
        "signed": "{:+,}".format,
        "points": points,
        "span": span,
    }
    return environment


def sentence(text: str) -> str:
    """Return a sentence without control characters, in which no number is parted from its percent sign."""
    return plain(text).replace(" %", "\u00a0%")


def percent(part: int, whole: int) -> str:
    """Return a share such as `19.4 %`, with a space that does not break; `–` of nothing."""
    return f"{100 * part / whole:.1f}\u00a0%" if whole else "–"


def _asset(name: str) -> str:
    return (files("planbalance.page") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return a hash source of Content Security Policy Level 3, 6.6.2.2."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
