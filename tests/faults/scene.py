"""A small plan to do damage to, and what must hold afterwards whatever happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.planstore import PlanFile
from tests.builders import tree_content, tree_state, yolo_tree
from tests.engine.plans import saved_plan

VOLUMES = {"01-a": ".+_", "02-b": "..-", "03-c": "+"}
PLACING = ("copy", "hardlink", "symlink")  # with files of their own below the output
MODES = (*PLACING, "list")


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
            self.expected[options.mode] = tree_content(self.output)
            self.remove_output()
        return self.expected[options.mode]

    def remove_output(self) -> None:
        tree = fs.Tree(str(self.output.parent))
        fs.remove_below(tree.fd)
        tree.close()

    def check_after_fault(self, options: ApplyOptions) -> None:
        """The source is untouched; the output is absent or whole; nothing but output and staging folder is there."""
        self.check_source()
        names = {path.name for path in self.output.parent.iterdir()}
        assert names <= {self.output.name, self.staging.name}
        if self.output.exists():
            assert tree_content(self.output) == self.undisturbed_known(options)

    def undisturbed_known(self, options: ApplyOptions) -> dict[str, str]:
        return self.expected[options.mode]

    def check_resumed(self, options: ApplyOptions) -> None:
        """The same apply again ends in the tree of an undisturbed run, with nothing beside it."""
        if not self.output.exists():
            apply_plan(self.plan(), options)
        assert tree_content(self.output) == self.undisturbed_known(options)
        assert [path.name for path in self.output.parent.iterdir()] == [self.output.name]
        self.check_source()
        self.remove_output()

    def check_source(self) -> None:
        """Names, bytes, owner, mode and mtime of the source are what they were."""
        now = tree_state(self.source)
        assert now == self.before
