"""Open folders: opened once for all threads, not closed while in use, and no more kept open than configured."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine.fd_cache import SOURCES_ALONE, FdCache, Folders, SharedFolders
from planbalance.engine.staleness import StaleError
from tests.faults import faulty


class Disk:
    """Gives a new descriptor for every name asked for, and knows which are open."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, name: str) -> int:
        self.opened.append(name)
        return os.open("/", os.O_RDONLY)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_the_second_user_gets_what_the_first_has_opened() -> None:
    disk = Disk()
    cache = FdCache(disk.open)
    assert cache.take("a") == cache.take("a")
    assert disk.opened == ["a"]


def test_those_who_ask_while_it_is_opened_wait_for_it() -> None:
    disk, all_asked = Disk(), threading.Barrier(9)

    def slowly(name: str) -> int:
        all_asked.wait(30)
        return disk.open(name)

    cache = FdCache(slowly)

    def ask(first: int) -> int:
        if not first:
            all_asked.wait(30)  # until the first is opening it
        return cache.take("a")

    with ThreadPoolExecutor(9) as threads:
        asked = [threads.submit(ask, number) for number in (1, *(0,) * 8)]
        assert len({each.result() for each in asked}) == 1
    assert disk.opened == ["a"]


def test_what_is_in_use_stays_open_and_of_the_rest_the_last_few_do() -> None:
    disk = Disk()
    cache = FdCache(disk.open, unused=2)
    used = cache.take("used")
    rest = {name: cache.take(name) for name in "abc"}
    assert len({used, *rest.values()}) == 4
    for name in "abc":
        cache.give(name)
    assert [is_open(rest[name]) for name in "abc"] == [False, True, True]
    assert cache.take("b") == rest["b"]
    cache.close()
    assert [is_open(fd) for fd in (used, rest["b"], rest["c"])] == [True, True, False]
    cache.give("used")
    cache.give("b")
    cache.close()
    assert not is_open(used)


def test_what_could_not_be_opened_is_tried_again_by_the_next() -> None:
    disk, failures = Disk(), [FileNotFoundError()]

    def first_fails(name: str) -> int:
        if failures:
            raise failures.pop()
        return disk.open(name)

    cache = FdCache(first_fails)
    with pytest.raises(FileNotFoundError):
        cache.take("a")
    assert is_open(cache.take("a"))


def test_a_folder_is_made_and_opened_by_two_calls_and_its_parents_only_once(tmp_path: Path) -> None:
    shared = SharedFolders(fs.Tree(str(tmp_path)))
    folders = [Folders(shared), Folders(shared)]
    folders[0].targets("images/train/one")
    with faulty.calls(faulty.only_count) as seen:
        for each in folders:
            each.targets("images/train/two")
    assert seen.seen == ["mkdir", "open"] * 2
    assert sorted(os.listdir(tmp_path / "labels/train")) == ["one", "two"]
    for each in folders:
        each.close()
    shared.close()


def test_a_source_folder_that_is_gone_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StaleError, match="is gone"):
        Folders(SharedFolders(None)).sources[str(tmp_path / "gone")]


def test_a_worker_alone_takes_each_folder_once_where_three_splits_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [str(tmp_path / kind / split) for split in ("train", "val", "test") for kind in ("images", "labels")]
    for place in places:
        os.makedirs(place)
    shared = SharedFolders(None, SOURCES_ALONE)
    taken: list[str] = []
    real = shared.sources.take

    def take(name: str) -> int:
        taken.append(name)
        return real(name)

    monkeypatch.setattr(shared.sources, "take", take)
    folders = Folders(shared)
    for place in 3 * places:
        assert folders.sources[place] >= 0
    assert taken == places
    folders.close()
    shared.close()
