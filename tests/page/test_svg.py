"""What becomes of a Matplotlib figure on the page."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from planbalance.errors import UsageError
from planbalance.page.svg import COLOURS, inline, matplotlib, settings

pytest.importorskip("matplotlib")

REPOSITORY = Path(__file__).parents[2]

HOSTILE = '</svg><script>alert(1)</script>"\u202e\x00\ud800'


@pytest.fixture
def drawing() -> Iterator[None]:
    with settings():
        yield


def drawn(**options: object) -> str:
    figure = matplotlib().figure.Figure(figsize=(2, 1), dpi=72)
    figure.patch.set_visible(False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.barh([0], [3], color=COLOURS["positive"], linewidth=0)[0].set_gid("bar")
    axes.plot([0, 3], [0, 0], color=COLOURS["ink"])
    axes.text(0, 0, "key", color=COLOURS["soft"], ha="right")
    return inline(figure, "wide", alt="A bar", **options)  # type: ignore[arg-type]


def test_colours_are_classes_and_nothing_has_a_style_or_an_id(drawing: None) -> None:
    svg = drawn()
    root = ElementTree.fromstring(svg)
    assert root.attrib == {"class": "wide", "viewBox": "0 0 144 72", "role": "img", "aria-label": "A bar"}
    assert [(one.tag, one.get("class")) for one in root] == [
        ("path", "fill-positive"),
        ("path", "line-ink"),
        ("text", "fill-soft"),
    ]
    assert not re.search(r"style=|id=|#|xmlns|metadata", svg)


def test_words_take_the_place_of_keys_and_titles_that_of_gids_as_text_alone(drawing: None) -> None:
    root = ElementTree.fromstring(drawn(texts={"key": HOSTILE}, titles={"bar": HOSTILE}))
    shown = '</svg><script>alert(1)</script>"\\u202e\\x00\\ud800'
    assert [one.text for one in root if one.tag == "text"] == [shown]
    assert [one.text for one in root.iter("title")] == [shown]
    assert not list(root.iter("script"))


def test_the_same_figure_is_the_same_to_the_byte(drawing: None) -> None:
    assert drawn() == drawn()


def test_a_users_own_settings_have_no_effect(tmp_path: Path) -> None:
    with settings():
        plain = drawn()
    library = matplotlib()
    with library.rc_context({"lines.linewidth": 9, "text.usetex": True, "svg.fonttype": "path"}), settings():
        assert drawn() == plain


def test_what_the_page_cannot_draw_is_refused(drawing: None) -> None:
    figure = matplotlib().figure.Figure()
    figure.add_subplot().plot([0], [0], marker="o", color=COLOURS["ink"])
    with pytest.raises((ValueError, KeyError)):
        inline(figure, "wide", alt="")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError) as refused:
        matplotlib()
    assert refused.value.hint == "pip install 'planbalance[report]'"


def test_nothing_is_imported_before_a_page_is_made() -> None:
    asked = (
        "import sys, planbalance.cli.report, planbalance.page.html\n"
        "print({'matplotlib', 'numpy', 'jinja2'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_backend_of_a_notebook_does_not_stop_a_page() -> None:
    """`!planbalance report` in a notebook: its kernel names a backend that is not installed where planbalance is."""
    asked = (
        "import os\nfrom tests.page.test_svg import drawn, settings\n"
        "with settings():\n    print(drawn()[:4], os.environ['MPLBACKEND'])"
    )
    environment = {**os.environ, "MPLBACKEND": "module://no_such_package.backend_inline"}
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=False, env=environment, cwd=REPOSITORY
    )
    assert (done.returncode, done.stdout) == (0, "<svg module://no_such_package.backend_inline\n"), done.stderr
