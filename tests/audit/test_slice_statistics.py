from planbalance.audit.slice_statistics import ImagePlace, SliceRecord, SliceStatistics
from planbalance.model import Split

SPLITS_OF: dict[str, tuple[Split, ...]] = {
    "a": ("train",),
    "b": ("val",),
    "c": ("train",),
    "d": ("train", "test"),
    "e": ("val",),
}


def seen(path: str, digest: bytes, *, flat: bool = False) -> list[SliceRecord]:
    return [SliceRecord(split, path.upper(), path, path == "a", digest * 32, flat) for split in SPLITS_OF[path]]


def test_counts_and_content_are_the_same_in_whatever_batches_they_come() -> None:
    slices = [*seen("a", b"1"), *seen("b", b"1"), *seen("c", b"2"), *seen("d", b"3", flat=True), *seen("e", b"2")]
    whole = SliceStatistics()
    whole.add(slices)
    merged = SliceStatistics()
    for one in reversed(slices):
        part = SliceStatistics()
        part.add([one])
        merged.merge(part)
    for statistics in (whole, merged):
        assert statistics.totals == {"train": 3, "val": 2, "test": 1}
        assert statistics.positives["train"] == 1
        assert statistics.volumes["D"] == {"train": 1, "test": 1}
        assert [digest[:1] for digest, _ in statistics.same_images(SPLITS_OF.__getitem__)] == [b"1", b"2", b"3"]
        same = dict(statistics.same_images(SPLITS_OF.__getitem__))
        assert same[b"1" * 32] == [(ImagePlace("a", "A"), "train"), (ImagePlace("b", "B"), "val")]
        assert len(dict(statistics.images(SPLITS_OF.__getitem__))) == 3
        assert [statistics.is_flat(digest * 32) for digest in (b"1", b"3")] == [False, True]


def test_the_same_content_in_one_split_only_is_not_shared() -> None:
    statistics = SliceStatistics()
    statistics.add([*seen("a", b"1"), *seen("c", b"1")])
    assert list(statistics.same_images(SPLITS_OF.__getitem__)) == []


def test_a_slice_that_was_not_read_has_no_content_and_one_without_a_volume_is_counted_apart() -> None:
    statistics = SliceStatistics()
    statistics.add([SliceRecord("train", "", "x.png"), SliceRecord("train", "1", "y.PNG")])
    assert (statistics.unnamed, statistics.volumes, statistics.contents) == (1, {"1": {"train": 1}}, [])
    assert statistics.suffixes == {"png": 1, "PNG": 1}
    statistics.add_slices("val", [], [])
    assert len(statistics.totals) == 1
