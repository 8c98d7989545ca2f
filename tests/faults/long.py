"""A build that takes long enough to be interrupted in the middle, run by its command line."""

import json
import subprocess
import sys
import time
from pathlib import Path

from planbalance import api, fs
from planbalance.dataset_files import OWN_FOLDER
from planbalance.engine.journal import read_journal
from planbalance.lock_owner import Node
from planbalance.planstore import PlanFile
from planbalance.platform_calls import boot_id
from tests.builders import tree_content, tree_state


class Long:
    """A source, its plan with every slice, and where it is built."""

    def __init__(self, root: Path) -> None:
        self.root, self.source, self.output, self.plan = root, root / "in", root / "out" / "set", root / "plan.json"
        self.output.parent.mkdir()

    def make_plan(self) -> None:
        api.plan(str(self.source), output=str(self.output), plan_file=str(self.plan), negatives_per_positive="all")
        self.blocks = PlanFile.open(str(self.plan)).header.blocks
        self.slices = sum(block.count for block in self.blocks)
        self.before = tree_state(self.source)

    def start(self, mode: str) -> "subprocess.Popen[str]":
        words = [sys.executable, "-m", "planbalance", "apply", str(self.plan), "--mode", mode, "--json"]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def start_and_reach(self, mode: str, share: float) -> "subprocess.Popen[str]":
        """Start a run and wait until the journal has a share of the slices."""
        process = self.start(mode)
        while process.poll() is None and self.journalled() < share * self.slices:
            time.sleep(0.002)
        return process

    def finish(self, mode: str) -> dict[str, object]:
        said, _ = self.start(mode).communicate()
        document: dict[str, object] = json.loads(said)
        assert document["published"], document
        return document

    def journalled(self) -> int:
        """Return how many slices the journal says are done."""
        try:
            data = (Path(fs.partial_path(str(self.output))) / OWN_FOLDER / fs.JOURNAL).read_bytes()
        except FileNotFoundError:
            return 0
        journal = read_journal(data, self.blocks, Node("", boot_id()), with_sums=False)
        return sum(part.stop - part.start for record in journal.records for part in record.ranges)

    def kill_at(self, mode: str, share: float) -> int:
        """Kill a run once the journal has a share of the slices; return how many images were in place."""
        process = self.start_and_reach(mode, share)
        process.kill()
        process.communicate()
        assert not self.output.exists(), "it was too fast to be killed"
        staged = Path(fs.partial_path(str(self.output)), "images")
        return sum(1 for path in staged.rglob("*") if not path.is_dir())

    def trial(self, mode: str, share: float, whole: dict[str, str]) -> str:
        placed = self.kill_at(mode, share)
        resumed = self.finish(mode)["resumed"]
        assert isinstance(resumed, int)
        assert share * self.slices <= resumed <= placed
        assert tree_content(self.output) == whole
        assert tree_state(self.source) == self.before
        self.remove()
        return (
            f"{mode}, killed at {share:.0%}: {placed:,} of {self.slices:,} slices were in place, "
            f"{resumed:,} were not done again ({resumed / placed:.1%})"
        )

    def undisturbed(self, mode: str) -> dict[str, str]:
        self.finish(mode)
        whole = tree_content(self.output)
        self.remove()
        return whole

    def remove(self) -> None:
        tree = fs.Tree(str(self.output.parent))
        fs.remove_below(tree.fd)
        tree.close()
