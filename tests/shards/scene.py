"""A small dataset, its plan, what one undisturbed apply makes of it, and shards of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.model import Outcome
from planbalance.planstore import PlanFile
from planbalance.shards import Shard
from tests.builders import tree_content, tree_state, yolo_tree
from tests.engine.plans import saved_plan

VOLUMES = {f"{number:02d}-{name}": slices for number, (name, slices) in enumerate(
    {"a": ".+_", "b": "..-+", "c": "+.", "d": ".....", "e": "-+-", "f": "....+", "g": "_", "h": "+++."}.items()
)}  # fmt: skip


class Scene:
    """A source, its plan, where the output goes, and the tree that a plain apply makes there."""

    def __init__(self, root: Path, *, layout: str = "by-volume", volumes: dict[str, str] | None = None) -> None:
        self.root = root
        self.source = yolo_tree(root / "in", volumes or VOLUMES)
        self.parent = root / "out"
        self.parent.mkdir()
        self.output = self.parent / "set"
        self.path = root / "plan.json"
        self.plan = saved_plan([self.source], self.output, self.path, layout=layout)
        self.staging = Path(fs.partial_path(str(self.output)))
        self.source_state = tree_state(self.source)

    def reference(self, options: ApplyOptions) -> dict[str, str]:
        """Return what one undisturbed apply makes, and take it away again."""
        apply_plan(self.plan, options)
        content = tree_content(self.output)
        self.output.rename(self.root / "reference")
        return content

    def shard(self, number: int, total: int, options: ApplyOptions | None = None, **more: Any) -> Outcome:
        chosen = replace(options or ApplyOptions(**more), shard=Shard(number, total))
        return apply_plan(PlanFile.open(str(self.path)), chosen)

    def finish(self, options: ApplyOptions | None = None, **more: Any) -> Outcome:
        return apply_plan(PlanFile.open(str(self.path)), replace(options or ApplyOptions(**more), finish=True))

    def own(self) -> Path:
        return self.staging / ".planbalance"

    def check(self, expected: dict[str, str], *, killed: bool = False) -> None:
        """The output is the expected one, nothing else stands beside it, the source is as it was.

        In the tool's own folder a finish that was killed after the rename may leave its working files.
        """
        assert tree_content(self.output) == expected
        assert sorted(path.name for path in self.parent.iterdir()) == ["set"]
        own = {path.name for path in (self.output / ".planbalance").iterdir()}
        assert own == {"plan.json", "receipt.json"} or (killed and own > {"plan.json", "receipt.json"})
        assert not list(self.output.rglob(f"{fs.TEMPORARY}*"))
        now = tree_state(self.source)
        assert now == self.source_state
