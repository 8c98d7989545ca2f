"""A small plan to do damage to, and what must hold afterwards whatever happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.modes import MODE_TABLE
from planbalance.planstore import PlanFile
from tests.builders import tree_content, tree_state, yolo_tree
from tests.engine.plans import saved_plan

VOLUMES = {"01-a": ".+_", "02-b": "..-", "03-c": "+"}
PLACING = ("copy", "hardlink", "symlink")  # with files of their own below the output
MODES = (*PLACING, "list")
PACKED = ("squashfs", "tar")  # one file
ALL = (*MODES, *PACKED)


@dataclass
class Scene:
    """A source, a plan, and an undisturbed build of the same plan to compare with."""

    root: Path
    volumes: Mapping[str, str] = field(default_factory=lambda: VOLUMES)
    layout: str = "keep"

    def __post_init__(self) -> None:
        self.source = yolo_tree(self.root / "in", self.volumes)
        self.output = self.root / "out" / "set"
        self.output.parent.mkdir()
        saved_plan([self.source], self.output, self.root / "plan.json", layout=self.layout)
        self.before = tree_state(self.source)
        self.expected: dict[str, dict[str, str]] = {}

    def plan(self) -> PlanFile:
        return PlanFile.open(str(self.root / "plan.json"))

    @cached_property
    def staging(self) -> Path:
        return Path(fs.partial_path(str(self.output)))

    def undisturbed(self, options: ApplyOptions) -> dict[str, str]:
        """Return the tree that a build without a fault makes (built once per mode, then removed)."""
        if options.mode not in self.expected:
            apply_plan(self.plan(), options)
            self.expected[options.mode] = self.content(options)
            self.remove_output()
        return self.expected[options.mode]

    def output_of(self, options: ApplyOptions) -> Path:
        """Return where the output appears in a mode: a file has a suffix."""
        return Path(f"{self.output}{MODE_TABLE[options.mode].one_file}")

    def is_there(self, options: ApplyOptions) -> bool:
        """Return whether the output is there."""
        return self.output_of(options).exists()

    def content(self, options: ApplyOptions) -> dict[str, str]:
        """Return what two equal builds share: the tree, or the one file with its sum."""
        if options.mode not in PACKED:
            return tree_content(self.output)
        there = self.output_of(options)
        return {each.name: each.read_bytes().hex() for each in (there, Path(f"{there}.sha256")) if each.exists()}

    def remove_output(self) -> None:
        tree = fs.Tree(str(self.output.parent))
        fs.remove_below(tree.fd)
        tree.close()

    def check_after_fault(self, options: ApplyOptions) -> None:
        """The source is untouched; the output is absent or whole; nothing but output and staging folder is there."""
        self.check_source()
        names = {path.name for path in self.output.parent.iterdir()}
        there = self.output_of(options).name
        staging = Path(fs.partial_path(str(self.output_of(options))))
        sums = {f"{there}.sha256"} if options.mode in PACKED else set()
        assert names <= {there, staging.name} | sums
        assert staging.name in names or there in names or not names
        if self.is_there(options):
            assert self.content(options) == self.undisturbed_known(options)
            left = staging / there  # between link and unlink, where no rename refuses a taken name
            assert not left.exists() or left.samefile(self.output_of(options))

    def undisturbed_known(self, options: ApplyOptions) -> dict[str, str]:
        return self.expected[options.mode]

    def undisturbed_names(self, options: ApplyOptions) -> set[str]:
        """Return the names beside each other that a build makes."""
        return set(self.expected[options.mode]) if options.mode in PACKED else {self.output.name}

    def check_resumed(self, options: ApplyOptions) -> None:
        """The same apply again ends in the tree of an undisturbed run, with nothing beside it."""
        if not self.is_there(options):
            apply_plan(self.plan(), options)
        assert self.content(options) == self.undisturbed_known(options)
        names = {path.name for path in self.output.parent.iterdir()}
        if options.mode in PACKED:  # killed after the rename, and before the staging folder went
            names -= {f".{self.output_of(options).name}.planbalance-partial"}
        assert names == self.undisturbed_names(options)
        self.check_source()
        self.remove_output()

    def check_source(self) -> None:
        """Names, bytes, owner, mode and mtime of the source are what they were."""
        now = tree_state(self.source)
        assert now == self.before
