"""What commands print at 60, 100 and 140 columns: `python -m tests.captures.record [NAME]...` records it.

The files lie beside this module. Look at each that has changed before you commit it: they are what people read.
"""

import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

from click.testing import CliRunner

from planbalance import demo
from planbalance.cli.program import cli
from tests.builders import yolo_tree
from tests.docs.session import HOME, reader

CAPTURES: Final = Path(__file__).parent
WIDTHS: Final = (60, 100, 140)
# What differs from run to run or between versions of libraries. Digests stay as long, so nothing wraps elsewhere.
_VARYING: Final = (
    (re.compile(r"\b[0-9a-f]{64}\b"), lambda found: "0" * len(found[0])),
    (re.compile(r"\b[0-9a-f]{12}\b"), lambda found: "0" * len(found[0])),
    (re.compile(r"\d+\.\d s\b( \([\d,]+/s\))?"), lambda _: "0.1 s"),
    (re.compile(r"\b[\d.]+ (KiB|MiB)\b"), lambda found: f"1.0 {found[1]}"),
)


class Scene(NamedTuple):
    """A command whose answer is recorded.

    Attributes:
        words: of the command, after `planbalance`; it runs in a folder with the drawn dataset in `knee_mri`.
        code: its exit code.
        before: commands that run first.
        prepare: what makes further files there, given the folder.
    """

    words: str
    code: int = 0
    before: tuple[str, ...] = ()
    prepare: Callable[[Path], object] = lambda _: None


def several_classes(folder: Path) -> None:
    """Write a dataset of three classes, some images without a label file, and a map of patients with their sites."""
    volumes = {f"{number:03d}": "..++...." if number % 3 == 0 else "........" for number in range(40)}
    root = yolo_tree(folder / "classes", volumes, names=("acl", "meniscus", "cartilage"))
    for number, label in enumerate(sorted(root.rglob("*.txt"))):
        if label.read_text():
            label.write_text(label.read_text().replace("0 ", f"{(0, 0, 0, 1, 1, 2)[number % 6]} ", 1))
    rows = "".join(
        f"{volume},p{index // 2},{('Ulm', 'Graz')[index // 2 % 2]}\n" for index, volume in enumerate(volumes)
    )
    (folder / "patients.csv").write_text(f"volume,group,site\n{rows}")


def same_names(folder: Path) -> None:
    """Write two datasets with volumes of the same names, some images of which have the same name too."""
    for name, volumes in (("ward", ("001", "002", "003")), ("clinic", ("003", "004", "005"))):
        yolo_tree(folder / name, dict.fromkeys(volumes, ".+."))


def divided_by_slices(folder: Path) -> None:
    """Write the drawn dataset as many scripts divide it: slice by slice, so that volumes are in several splits."""
    for number, image in enumerate(sorted(Path("knee_mri/images").resolve().rglob("*.png"))):
        split = ("train", "train", "train", "val", "train", "test")[number % 6]
        label = Path(str(image.with_suffix(".txt")).replace("/images/", "/labels/"))
        for file, kind in ((image, "images"), (label, "labels")):
            place = folder / "theirs" / kind / split
            place.mkdir(parents=True, exist_ok=True)
            if file.exists():
                shutil.copy(file, place)


_PLAN: Final = "plan knee_mri --output balanced"
_FOLDS: Final = "plan knee_mri --output folds --folds 3"
_APPLY_FOLDS: Final = "apply plan-fold1.json plan-fold2.json plan-fold3.json --mode symlink"
# The guide's way to make an ensemble: another seed moves volumes between train and test.
_MEMBERS: Final = tuple(
    f"plan knee_mri --output members/{seed} --plan-file {seed}.json --seed {seed}" for seed in (1, 2)
)
SCENES: Final = {
    "scan": Scene("scan knee_mri"),
    "plan": Scene(_PLAN),
    "plan-verbose": Scene(f"{_PLAN} --verbose"),
    "plan-classes": Scene(
        "plan classes --output balanced --group-map patients.csv --stratify site", prepare=several_classes
    ),
    "plan-refused": Scene("plan ward clinic --output balanced", code=3, prepare=same_names),
    "folds": Scene(f"{_PLAN} --folds 5"),
    "apply": Scene("apply --mode symlink", before=(_PLAN,)),
    "apply-folds": Scene("apply plan-fold1.json plan-fold2.json --mode symlink", before=(f"{_PLAN} --folds 2",)),
    "apply-refused": Scene("apply", code=4, before=(_PLAN, "apply")),
    "verify": Scene("verify balanced", before=(_PLAN, "apply --mode symlink")),
    "verify-verbose": Scene("verify balanced --verbose", before=(_PLAN, "apply --mode symlink")),
    "verify-leaks": Scene("verify theirs", code=6, prepare=divided_by_slices),
    "verify-folds": Scene("verify folds", before=(_FOLDS, _APPLY_FOLDS)),
    "verify-against": Scene("verify folds/fold1 --against folds/fold2", before=(_FOLDS, _APPLY_FOLDS)),
    "verify-variants": Scene("verify members", code=6, before=(*_MEMBERS, "apply 1.json 2.json --mode symlink")),
}


def record(scene: Scene, width: int, drawn: Path) -> str:
    """Return a command and what it prints, both streams, in a terminal of this width. `drawn`: the demo's dataset."""
    with reader(None) as session, chdir(session.folder):
        os.symlink(drawn, "knee_mri")
        scene.prepare(session.folder)
        for words in scene.before:
            _run(words, WIDTHS[-1], 0)
        said = _run(scene.words, width, scene.code)
        said = re.sub(rf"(?:/private)?{re.escape(os.fspath(session.folder))}", HOME, said)
    for pattern, replacement in _VARYING:
        said = pattern.sub(replacement, said)
    return f"$ planbalance {scene.words}\n\n{said.strip()}\n"


def _run(words: str, width: int, code: int) -> str:
    terminal = {"COLUMNS": str(width), "LINES": "40", "TERM": "dumb"}  # dumb: neither colours nor bars
    quiet = {"XDG_CONFIG_HOME": os.getcwd(), "PLANBALANCE_LOG_SECONDS": "1000"}
    with patch("planbalance.cli.terminal.Pipe.isatty", return_value=True):
        result = CliRunner().invoke(cli, shlex.split(words), env={**terminal, **quiet})
    assert result.exit_code == code, f"planbalance {words}: exit {result.exit_code}\n{result.output}"
    return result.output


def path_of(name: str, width: int) -> Path:
    """Return where a capture lies."""
    return CAPTURES / f"{name}-{width}.txt"


def main() -> None:
    """Write the captures that are named on the command line, or all."""
    with tempfile.TemporaryDirectory() as temporary:
        drawn = Path(temporary, "drawn")
        demo.write_dataset(os.fspath(drawn))
        for name in sys.argv[1:] or SCENES:
            for width in WIDTHS:
                path_of(name, width).write_text(record(SCENES[name], width, drawn), encoding="utf-8")


if __name__ == "__main__":
    main()
