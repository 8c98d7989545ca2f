"""Places by their names alone."""

import pytest

from planbalance.model import Folder, Source
from planbalance.path_relation import all_guarded, guarded, relation

RELATIONS = [
    ("/data/in", "/data/in", "equal to"),
    ("/data/in/", "/data/in", "equal to"),
    ("/data/in/out", "/data/in", "inside"),
    ("/data", "/data/in", "around"),
    ("/", "/data/in", "around"),
    ("/data", "/", "inside"),
    ("/data/in2", "/data/in", None),
    ("/data/i", "/data/in", None),
]


@pytest.mark.parametrize(("path", "other", "how"), RELATIONS)
def test_how_two_paths_lie(path: str, other: str, how: str | None) -> None:
    assert relation(path, other) == how


FOLDERS = (Folder("imgs/train", "lbls/train", "train"), Folder("imgs", "lbls", None))


def test_a_root_is_guarded_with_its_folders() -> None:
    assert list(guarded("/x", Source("", FOLDERS))) == [
        "/x", "/x/imgs/train", "/x/lbls/train", "/x/imgs", "/x/lbls",
    ]  # fmt: skip


def test_a_root_that_is_only_what_folders_have_in_common_is_not_guarded() -> None:
    source = Source("", FOLDERS[:1], ("imgs", "lbls"))
    assert set(all_guarded(["/"], [source])) == {"/imgs", "/lbls", "/imgs/train", "/lbls/train"}
