"""A staging folder as version 0.1.0 left it, byte by byte, is resumed: its format is a promise to builds under way."""

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import UsageError
from planbalance.planstore import PlanFile
from tests.builders import tree_content, write, yolo_tree
from tests.engine.plans import saved_plan

VOLUMES = {"01-a": ".+_", "02-b": "..-", "03-c": "+"}


class OldBuild:
    """A build of 0.1.0 that was interrupted after the first block, by another machine, with everything on disk."""

    def __init__(self, root: Path, **options: object) -> None:
        self.source, self.output = yolo_tree(root / "in", VOLUMES), root / "set"
        self.plan: PlanFile = saved_plan([self.source], self.output, root / "plan.json")
        apply_plan(self.plan, ApplyOptions(output=str(root / "undisturbed")))
        self.expected = tree_content(root / "undisturbed")
        self.own = Path(fs.partial_path(str(self.output))) / ".planbalance"
        sums = self._place_first_block()
        done = {"done": [[0, 0, self.placed]], "sums": base64.b64encode(sums).decode()}
        lines: list[dict[str, Any]] = [{"run": ["old-node", "old-boot"]}, done, {"syncing": 1}, {"synced": 1}]
        write(self.own / "journal", b"".join(map(_line, lines)))
        header: dict[str, object] = {
            "schema": "planbalance/staging/1",
            "digest": self.plan.header.digest,
            "mode": "copy",
            "labels": "copy",
            "checksum": "sha256",
            "fallback": "none",
            "durability": "fast",
            "shards": None,
            "shard_rule": 1,
            "map_input": [],
            "way": "copy",
            "host": "old-node",
            "boot": "old-boot",
        }
        write(self.own / "staging.json", json.dumps(header | options).encode() + b"\n")
        write(self.own / "lock", b"")
        write(self.own / "README", b"This folder is an unfinished dataset.\n")

    def _place_first_block(self) -> bytes:
        operations = self.plan.read_block(0)
        self.placed = len(operations)
        sums = b""
        for operation in operations:
            name = Path(operation.image).name
            image = (self.source / operation.image).read_bytes()
            label = b"" if operation.label is None else (self.source / operation.label).read_bytes()
            folder = self.plan.header.blocks[0].folder
            write(self.own.parent / folder / name, image)
            write(self.own.parent / folder.replace("images", "labels", 1) / Path(name).with_suffix(".txt"), label)
            sums += hashlib.sha256(image).digest()
        return sums


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, separators=(",", ":")).encode()
    return b"%b\t%08x\n" % (text, zlib.crc32(text))


def test_it_is_resumed(tmp_path: Path) -> None:
    old = OldBuild(tmp_path)
    outcome = apply_plan(old.plan, ApplyOptions())
    assert (outcome.resumed, outcome.published) == (old.placed, True)
    found = tree_content(old.output)
    assert found.keys() == old.expected.keys()
    own_path = {"dataset.yaml", "manifest-sha256.txt"}  # the yaml holds the output's path
    assert {name: found[name] for name in found.keys() - own_path} == {
        name: old.expected[name] for name in found.keys() - own_path
    }
    lines = (old.output / "manifest-sha256.txt").read_text().splitlines()
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((old.output / name).read_bytes()).hexdigest() == digest


def test_with_other_options_it_is_refused_in_one_sentence(tmp_path: Path) -> None:
    old = OldBuild(tmp_path, mode="symlink", way="symlink")
    with pytest.raises(UsageError, match="was begun with --mode symlink, which cannot change during a build") as caught:
        apply_plan(old.plan, ApplyOptions())
    assert caught.value.kind == "pinned-options"
