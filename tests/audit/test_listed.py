"""List mode: three text files that name the images of the inputs; nothing is placed."""

import json
import os
from pathlib import Path

import pytest

from planbalance import dataset_files
from planbalance.audit import VerifyOptions, verify
from planbalance.model import Audit
from tests.audit.built import Built, built, found
from tests.builders import write


@pytest.fixture
def listed(tmp_path: Path) -> Built:
    """Write what list mode gives for a plan."""
    made = built(tmp_path, hashed=True)
    header, root = made.plan.header, tmp_path / "listed"
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for operation in made.plan.operations():
        lists[operation.split].append(f"{header.inputs[operation.input]}/{operation.image}\n")
    for split, lines in lists.items():
        write(root / f"{split}.txt", "".join(lines).encode())
    write(root / "dataset.yaml", dataset_files.dataset_yaml(header, str(root), listed=True))
    write(root / "balanced_dataset_metadata.json", dataset_files.metadata_json(header, made.plan.operations()))
    hyps = dataset_files.hyp_yaml(header)
    if hyps is not None:
        write(root / "hyps/hyp.balanced.yaml", hyps)
    write(root / ".planbalance/plan.json", b"".join(made.plan.parts()))
    receipt = {"schema": "planbalance/receipt/1", "digest": header.digest, "mode": "list", "output": str(root)}
    write(root / ".planbalance/receipt.json", json.dumps(receipt).encode())
    return Built(made.source, root, made.plan, "list", hashed=True)


def audit(listed: Built, *, quick: bool = False) -> Audit:
    return verify(str(listed.output), VerifyOptions(quick=quick))


def source_path(listed: Built, split: str) -> str:
    return (listed.output / f"{split}.txt").read_text().splitlines()[1]


def test_a_list_that_is_as_planned(listed: Built) -> None:
    for quick in (False, True):
        assert found(audit(listed, quick=quick)) == set()
    (listed.output / ".planbalance/receipt.json").unlink()
    assert found(audit(listed)) == {("missing", ".planbalance/receipt.json")}


def test_a_list_that_was_changed(listed: Built) -> None:
    path = listed.output / "val.txt"
    text = path.read_text()
    path.write_text(text.partition("\n")[2] + source_path(listed, "train") + "\n" + text.splitlines()[2] + "\n")
    problems = [p for c in audit(listed, quick=True).checks for p in c.problems]
    assert {(p.kind, p.path) for p in problems} == {("missing", "val.txt"), ("extra", "val.txt")}
    assert len(problems) == 3
    path.unlink()
    assert ("missing", "val.txt") in found(audit(listed), "error")


def test_sources_that_were_changed_are_changes_of_the_dataset(listed: Built) -> None:
    image = Path(source_path(listed, "train"))
    image.write_bytes(bytes(reversed(image.read_bytes())))
    assert ("source-changed", str(image)) in found(audit(listed), "error")
    gone = source_path(listed, "test")
    os.unlink(gone)
    assert ("dangling", gone) in found(audit(listed, quick=True), "error")


def test_a_source_label_that_was_edited(listed: Built) -> None:
    image = source_path(listed, "train")
    label = Path(image.replace("/images/", "/labels/").replace(".png", ".txt"))
    label.write_bytes(label.read_bytes() + b"0 0.5 0.5 0.5 0.5\n")
    assert ("source-changed", str(label)) in found(audit(listed), "error")
    label.unlink()
    assert ("source-changed", str(label)) in found(audit(listed), "error")


def test_a_list_whose_source_was_moved_names_relocate_once(listed: Built) -> None:
    listed.source.rename(listed.source.with_name("moved"))
    links = next(check for check in audit(listed, quick=True).checks if check.name == "links")
    slices = len(listed.images())
    assert f"{slices} paths in the lists lead to files that are gone" in links.reason
    assert links.reason.endswith(f"planbalance relocate {listed.output} --source {listed.source}=NEW")
