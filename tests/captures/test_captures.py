"""Commands print what the captures beside this test show; `python -m tests.captures.record` records them anew."""

import os
import re
from pathlib import Path

import pytest

from planbalance import demo
from tests.captures.record import CAPTURES, SCENES, WIDTHS, path_of, record


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("captures") / "knees"
    demo.write_dataset(os.fspath(root))
    return root


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SCENES)
def test_a_command_prints_what_its_capture_shows(name: str, width: int, drawn: Path) -> None:
    shown = path_of(name, width).read_text(encoding="utf-8")
    assert record(SCENES[name], width, drawn) == shown, f"python -m tests.captures.record {name}"


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("*.txt")), ids=lambda path: path.stem)
def test_no_line_is_too_long_and_no_word_is_a_value_of_python(capture: Path) -> None:
    """Only what people copy (names of files, commands, digests) may be wider than the terminal."""
    width = int(capture.stem.rpartition("-")[2])
    _, *lines = capture.read_text(encoding="utf-8").splitlines()
    for line in lines:
        assert len(line) <= width or re.search(r"/|\.json|[0-9a-f]{64}", line), line
        assert not re.search(
            r"\bNone\b|\bTrue\b|\bFalse\b|\{'|\['|\(s\)|\b1 (volumes|slices|files|images|errors)\b", line
        ), line
        assert line == line.rstrip()


def test_every_capture_is_of_a_command() -> None:
    assert sorted(CAPTURES.glob("*.txt")) == sorted(path_of(name, width) for name in SCENES for width in WIDTHS)
