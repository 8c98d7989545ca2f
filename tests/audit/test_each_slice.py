"""A check sees every slice, unless it declares what the bulk path must prove of a slice for it to skip that one."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from planbalance.audit import VerifyOptions, checks, verify
from planbalance.audit.check_table import CHECKS, FILES, CheckKind, FoundProblem, register
from planbalance.audit.checks import each_slice
from planbalance.audit.checks.each_slice import Expected, Proof, SliceCheck, may_confirm
from planbalance.audit.fast_path import PROVEN, BulkPath
from planbalance.audit.slice_facts import SliceFacts
from planbalance.model import Problem
from planbalance.modes import Mode
from tests.audit.built import built
from tests.audit.damages import DAMAGES

MODES: tuple[Mode, ...] = ("copy", "hardlink", "symlink", "list")


def accuses(slice_facts: SliceFacts, _: Expected) -> Iterator[FoundProblem]:
    yield FILES, Problem("size", "error", slice_facts.image, "seen")


def says_nothing(_: SliceFacts, __: Expected) -> Iterator[FoundProblem]:
    yield from ()


def add(monkeypatch: pytest.MonkeyPatch, check: SliceCheck) -> None:
    monkeypatch.setattr(each_slice, "SLICE_CHECKS", [*each_slice.SLICE_CHECKS, check])


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_a_new_check_sees_every_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode, quick: bool) -> None:
    made = built(tmp_path, mode=mode)
    assert made.audit(quick=quick).ok
    add(monkeypatch, SliceCheck(accuses, frozenset()))
    files = next(check for check in made.audit(quick=quick).checks if check.name == FILES)
    assert sorted(problem.path for problem in files.problems) == sorted(made.images())


def test_a_check_that_declares_enough_is_not_asked_of_slices_as_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = built(tmp_path)
    add(monkeypatch, SliceCheck(accuses, frozenset((Proof.IN_PLACE, Proof.SAME_BYTES))))
    assert made.audit().ok
    image = made.images()[0]
    (made.output / image).write_bytes(b"another")
    files = next(check for check in made.audit().checks if check.name == FILES)
    assert ("seen", image) in {(problem.message, problem.path) for problem in files.problems}


@pytest.mark.parametrize("path", BulkPath)
@pytest.mark.parametrize("lacking", [Proof.IN_PLACE, Proof.SOURCE_UNCHANGED, Proof.SAME_BYTES, Proof.VALID_LABEL])
def test_a_proof_that_a_bulk_path_lacks_puts_it_out_of_use(path: BulkPath, lacking: Proof) -> None:
    assert may_confirm(PROVEN[path])  # blocks are confirmed in bulk with the checks that there are
    assert not may_confirm(PROVEN[path] - {lacking})


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("kind", DAMAGES)
def test_the_bulk_path_finds_what_looking_at_each_slice_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, quick: bool
) -> None:
    made = built(tmp_path)
    DAMAGES[kind](made, random.Random(3))
    in_bulk = made.audit(quick=quick)
    add(monkeypatch, SliceCheck(says_nothing, frozenset()))
    assert made.audit(quick=quick) == in_bulk


NEW_CHECK = """
from planbalance.audit.check_table import CheckKind, register
from planbalance.audit.checks.each_slice import slice_check
from planbalance.model import Problem

FORMATS = register(CheckKind("formats", "formats", each_slice=True))


@slice_check()
def check_format(slice_facts, expected):
    if slice_facts.image.endswith(".png"):
        yield FORMATS, Problem("format", "warning", slice_facts.image, "a PNG")
"""


def test_a_new_check_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = built(tmp_path)
    monkeypatch.setattr(each_slice, "SLICE_CHECKS", [*each_slice.SLICE_CHECKS])
    (tmp_path / "formats.py").write_text(NEW_CHECK)
    monkeypatch.setattr(checks, "__path__", [*checks.__path__, str(tmp_path)])
    try:
        checks.import_all()
        formats = made.audit().checks[-1]
        unplanned = verify(str(made.source), VerifyOptions()).checks
    finally:
        CHECKS.pop("formats", None)
        sys.modules.pop("planbalance.audit.checks.formats", None)
    assert (formats.name, formats.ok, len(formats.problems)) == ("formats", True, len(made.images()))
    assert next(check for check in unplanned if check.name == "formats").ok is None


def test_two_checks_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match="two checks are called files"):
        register(CheckKind("files", "files"))


def test_a_check_needs_a_plan_unless_it_says_otherwise() -> None:
    assert CheckKind("new", "what is new", each_slice=True).without_plan == "not checked"
    assert all(kind.shared for kind in CHECKS.values() if kind.compares_splits)
