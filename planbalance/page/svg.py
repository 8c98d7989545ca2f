"""A Matplotlib figure as SVG inside the page: no style of its own, no ids, and the same bytes each time.

The page's policy admits no style attributes, and its colours change with the theme. So a figure is drawn in colours
that stand for roles, and each becomes a class of the page's own style sheet. Texts of the dataset are never given to
Matplotlib, which would measure them in a font that may lack their letters: a key is drawn, and replaced here.
"""

import html
import io
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree

from planbalance.errors import UsageError
from planbalance.render.table import plain

# What a colour stands for: `fill-` or `line-` before the name is its class.
ROLES: Final = ("ink", "soft", "rule", "positive", "kept", "dropped", "left-out")
COLOURS: Final[Mapping[str, str]] = {role: f"#{number:06x}" for number, role in enumerate(ROLES, start=1)}
_ROLE_OF: Final[Mapping[str, str]] = {colour: role for role, colour in COLOURS.items()}
# One unit of the picture is one pixel of the page.
DOTS_PER_INCH: Final = 72
FONT_SIZE: Final = 12
_SETTINGS: Final[Mapping[str, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "planbalance",
    "font.family": ["DejaVu Sans"],  # which Matplotlib brings: places of texts do not depend on the machine
    "font.size": FONT_SIZE,
    "path.simplify": False,
}
_LONG_NUMBER: Final = re.compile(r"-?\d+\.\d+")


def matplotlib() -> Any:  # noqa: ANN401 - an extra
    """Return Matplotlib. Raises UsageError where it is not installed."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it logs where its list of fonts is kept, which does not concern a page
    try:
        return _imported()
    except ImportError:
        raise UsageError(
            "The page needs matplotlib, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[report]'",
        ) from None
    finally:
        logger.setLevel(level)


def _imported() -> Any:  # noqa: ANN401 - an extra
    # A notebook names its own backend to every process that it starts, and it may not be installed here. A page needs
    # none; inside the notebook's own process it stays, for the user's plots.
    backend = None if "ipykernel" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib.figure  # noqa: PLC0415 - an extra: only pages need it
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    return matplotlib


@contextmanager
def settings() -> Iterator[None]:
    """Draw and write figures within this context: the user's own matplotlibrc is not used."""
    library = matplotlib()
    with library.rc_context():
        library.rcdefaults()
        library.rcParams.update(_SETTINGS)
        yield


def inline(
    figure: Any,  # noqa: ANN401 - a Figure
    kind: str,
    *,
    alt: str,
    texts: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> str:
    """Return a figure as an `svg` element, escaped.

    Args:
        figure: drawn within `settings`, in `COLOURS`: filled shapes, lines and upright texts, nothing with a marker.
        kind: class of the element.
        alt: what a screen reader reads instead.
        texts: a key that was drawn -> the text to show.
        titles: gid of an artist -> its tooltip.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", dpi=DOTS_PER_INCH, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(file.getvalue())  # noqa: S314 - what Matplotlib has just written
    width, height = root.attrib["viewBox"].split()[2:]
    drawn = "".join(_shapes(root, texts or {}, titles or {}, ""))
    return (
        f'<svg class="{kind}" viewBox="0 0 {_short(width)} {_short(height)}" role="img" aria-label="{escaped(alt)}">'
        f"{drawn}</svg>"
    )


def _shapes(
    element: ElementTree.Element, texts: Mapping[str, str], titles: Mapping[str, str], title: str
) -> Iterator[str]:
    """Yield paths and texts without the groups around them; what is only defined and never drawn is left out."""
    title = titles.get(element.get("id", ""), title)
    match element.tag.rpartition("}")[2]:
        case "path":
            tooltip = f"<title>{escaped(title)}</title>" if title else ""
            path = _short(" ".join(element.attrib["d"].split()))
            yield f'<path{_look(element)} d="{path}">{tooltip}</path>'
        case "text":
            words = texts.get(element.text or "", element.text or "")
            place = f'x="{_short(element.attrib["x"])}" y="{_short(element.attrib["y"])}"'
            yield f"<text{_look(element)} {place}>{escaped(words)}</text>"
        case "svg" | "g":
            for child in element:
                yield from _shapes(child, texts, titles, title)
        case "defs" | "metadata":
            pass
        case other:
            raise ValueError(f"no <{other}> can be drawn on the page")


def _look(element: ElementTree.Element) -> str:
    """Return the attributes that say how a shape looks: roles as classes, the rest as it is."""
    style = dict(part.split(": ", 1) for part in element.get("style", "").split("; ") if part)
    is_text = element.tag.endswith("text")
    fill = style.get("fill", COLOURS["ink"] if is_text else "none")
    classes = [f"{way}-{_ROLE_OF[colour]}" for way, colour in (("fill", fill), ("line", style.get("stroke", "none")))
               if colour != "none"]  # fmt: skip
    found = f' class="{" ".join(classes)}"'
    if not is_text and fill == "none":
        found += ' fill="none"'
    if "stroke" in style:
        found += f' stroke-width="{style.get("stroke-width", "1")}"'
    if style.get("text-anchor", "start") != "start":
        found += f' text-anchor="{style["text-anchor"]}"'
    return found


def _short(numbers: str) -> str:
    """Return numbers rounded to a tenth of a pixel; nobody sees the difference."""
    return _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), numbers)


def escaped(text: str) -> str:
    """Return a text for an element or an attribute, without what a browser would not show."""
    return html.escape(plain(text))
