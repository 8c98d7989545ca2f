"""The fast check accepts nothing that differs from the plan; what it does not accept is checked slice by slice."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from planbalance.audit.fast_path import (
    are_in_place,
    are_sources_unchanged,
    block_paths,
    read_images,
    read_labels,
)
from planbalance.audit.slice_facts import ReadOptions
from planbalance.destination import Destinations
from planbalance.model import Operation
from planbalance.modes import Mode
from tests.audit.built import Built, built
from tests.builders import write


def reading_of(made: Built) -> ReadOptions:
    source = str(made.source)
    return ReadOptions(str(made.output), (source,), (source,), (), made.mode, False, True, True, True, True, 1)


def first_block(made: Built) -> tuple[list[Operation], Destinations]:
    return made.plan.read_block(0), Destinations(made.plan.header.sources, "keep")


def replaced_by_link(path: Path) -> None:
    os.rename(path, f"{path}.kept")
    os.symlink(f"{path}.kept", path)


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def grown(path: Path) -> None:
    write(path, path.read_bytes() + b"1")


def emptied_or_filled(path: Path) -> None:
    write(path, b"" if path.stat().st_size else b"1")


DAMAGES: list[Callable[[Path], None]] = [
    Path.unlink,
    grown,
    emptied_or_filled,
    replaced_by_link,
    replaced_by_folder,
    replaced_by_pipe,
]


@pytest.mark.parametrize("damage", range(len(DAMAGES)))
@pytest.mark.parametrize("what", ["image", "label", "empty label"])
def test_only_files_of_the_planned_size_are_passed(tmp_path: Path, damage: int, what: str) -> None:
    made = built(tmp_path)
    operations, destinations = first_block(made)
    places, reading = block_paths(operations, destinations), reading_of(made)
    assert are_in_place(places, reading) == [True] * len(operations)
    assert all(read_images(places, reading).digests)
    assert all(read_labels(places, reading).digests)
    at = next(i for i, each in enumerate(operations) if what == "image" or bool(each.label_size) == (what == "label"))
    folder, name = (places.images, places.names) if what == "image" else (places.labels, places.label_names)
    DAMAGES[damage](made.output / folder / name[at])
    wanted = [index != at for index in range(len(operations))]
    assert are_in_place(places, reading) == wanted
    read = read_images(places, reading) if what == "image" else read_labels(places, reading)
    assert [digest != "" for digest in read.digests] == wanted


def test_an_empty_image_is_a_file_and_not_what_gives_no_bytes(tmp_path: Path) -> None:
    made = built(tmp_path)
    operations, destinations = first_block(made)
    empty = [each._replace(image_size=0) for each in operations]
    places = block_paths(empty, destinations)
    path = made.output / places.images / places.names[0]
    path.write_bytes(b"")
    assert [digest != "" for digest in read_images(places, reading_of(made)).digests][:2] == [True, False]
    replaced_by_pipe(path)
    assert read_images(places, reading_of(made)).digests[0] == ""


@pytest.mark.parametrize("mode", ["symlink", "hardlink"])
def test_only_links_to_sources_as_they_were_are_passed(tmp_path: Path, mode: Mode) -> None:
    made = built(tmp_path, mode=mode)
    operations, destinations = first_block(made)
    places, reading = block_paths(operations, destinations), reading_of(made)
    assert are_in_place(places, reading) == [True] * len(operations)
    source = made.source / operations[0].image
    os.utime(source, (1, 1))
    (made.output / places.images / places.names[1]).unlink()
    assert are_in_place(places, reading)[:3] == [False, False, True]
    assert are_sources_unchanged(operations, reading)[:3] == [False, True, True]
    assert are_sources_unchanged(operations, reading._replace(times=False))[0]
    source.unlink()
    assert not are_sources_unchanged(operations, reading._replace(times=False))[0]


def test_a_folder_that_is_gone_has_nothing_in_place(tmp_path: Path) -> None:
    made = built(tmp_path)
    operations, destinations = first_block(made)
    places, reading = block_paths(operations, destinations), reading_of(made)
    os.rename(made.output / places.images, tmp_path / "away")
    assert are_in_place(places, reading) == [False] * len(operations)
    assert read_images(places, reading).digests == [""] * len(operations)
