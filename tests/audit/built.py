"""Datasets built by the tool itself, for audits of what was planned."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planbalance.audit import VerifyOptions, verify
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.inputs import resolve_inputs
from planbalance.model import Audit, InputSpec
from planbalance.modes import Mode
from planbalance.planner import PlanOptions, make_plan
from planbalance.planstore import PlanFile, save_plan
from planbalance.scan import scan
from tests.builders import IM_DASH, LABELS, mixed_volumes, picture_bytes, yolo_tree

LISTS = ("train.txt", "val.txt", "test.txt")


@dataclass(frozen=True)
class Built:
    """A dataset, its source and its plan."""

    source: Path
    output: Path
    plan: PlanFile
    mode: Mode
    hashed: bool

    def audit(self, **options: Any) -> Audit:
        """Verify it."""
        return verify(str(self.output), VerifyOptions(**options))

    def images(self) -> list[str]:
        """Return its images' paths, relative, sorted; in list mode absolute, as the lists have them."""
        if self.mode == "list":
            return sorted(line for name in LISTS for line in (self.output / name).read_text().splitlines())
        return sorted(
            os.path.relpath(os.path.join(folder, name), self.output)
            for folder, _, names in os.walk(self.output / "images")
            for name in names
        )

    def label_of(self, image: str) -> str:
        """Return the label's path of an image."""
        if self.mode == "list":
            return image.replace("/images/", "/labels/").replace(".png", ".txt")
        return "labels" + os.path.splitext(image)[0][len("images") :] + ".txt"


def built(
    where: Path,
    *,
    mode: Mode = "copy",
    hashed: bool = False,
    seed: int = 0,
    volumes: Mapping[str, str] | None = None,
    name: str = IM_DASH,
    apply: Mapping[str, Any] | None = None,
    edit: Callable[[Path], None] = lambda _: None,
    **planned: Any,
) -> Built:
    """Make a source of pictures, with labels that all differ, plan it and build it; `edit` is called before."""
    tree = mixed_volumes(3, 4, seed=seed, smallest=4, largest=6) if volumes is None else volumes
    source = yolo_tree(where / "source", tree, name=name)
    distinct_labels(source)
    real_pictures(source)
    edit(source)
    output = where / "built"
    options = PlanOptions(output=str(output), hash_images=hashed, **planned)
    save_plan(
        str(where / "plan.json"), make_plan(scan(resolve_inputs([InputSpec(str(source))]), hash_images=hashed), options)
    )
    plan = PlanFile.open(str(where / "plan.json"))
    apply_plan(plan, ApplyOptions(mode=mode, **(apply or {})))
    return Built(source, output, plan, mode, hashed)


def distinct_labels(source: Path) -> None:
    """Give every positive slice a box of its own, all of one size in bytes."""
    number = 0
    for folder, _, names in sorted(os.walk(source / "labels")):
        for name in sorted(names):
            path = Path(folder) / name
            if path.read_bytes() == LABELS["+"]:
                number += 1
                path.write_bytes(b"0 0.5 0.5 0.1 0.%04d\n" % number)


def real_pictures(source: Path) -> None:
    """Make every PNG one, so that trainers would load it."""
    for folder, _, names in os.walk(source / "images"):
        for name in names:
            if name.endswith(".png"):
                (Path(folder) / name).write_bytes(picture_bytes(f"{folder}/{name}"))


def found(audit: Audit, severity: str | None = None) -> set[tuple[str, str]]:
    """Return every (kind, path) of an audit's problems."""
    return {
        (problem.kind, problem.path)
        for check in audit.checks
        for problem in check.problems
        if severity in (None, problem.severity)
    }
