from planbalance.audit.tally import Place, Seen, Tally
from planbalance.model import Split

SPLITS_OF: dict[str, tuple[Split, ...]] = {
    "a": ("train",),
    "b": ("val",),
    "c": ("train",),
    "d": ("train", "test"),
    "e": ("val",),
}


def seen(path: str, digest: bytes, *, flat: bool = False) -> list[Seen]:
    return [Seen(split, path.upper(), path, path == "a", digest * 32, flat) for split in SPLITS_OF[path]]


def test_counts_and_content_are_the_same_in_whatever_batches_they_come() -> None:
    slices = [*seen("a", b"1"), *seen("b", b"1"), *seen("c", b"2"), *seen("d", b"3", flat=True), *seen("e", b"2")]
    whole = Tally()
    whole.add(slices)
    merged = Tally()
    for one in reversed(slices):
        part = Tally()
        part.add([one])
        merged.merge(part)
    for tally in (whole, merged):
        assert tally.totals == {"train": 3, "val": 2, "test": 1}
        assert tally.positives["train"] == 1
        assert tally.volumes["D"] == {"train": 1, "test": 1}
        assert [digest[:1] for digest, _ in tally.same_images(SPLITS_OF.__getitem__)] == [b"1", b"2", b"3"]
        same = dict(tally.same_images(SPLITS_OF.__getitem__))
        assert same[b"1" * 32] == [(Place("a", "A"), "train"), (Place("b", "B"), "val")]
        assert len(dict(tally.images(SPLITS_OF.__getitem__))) == 3
        assert [tally.is_flat(digest * 32) for digest in (b"1", b"3")] == [False, True]


def test_the_same_content_in_one_split_only_is_not_shared() -> None:
    tally = Tally()
    tally.add([*seen("a", b"1"), *seen("c", b"1")])
    assert list(tally.same_images(SPLITS_OF.__getitem__)) == []


def test_a_slice_that_was_not_read_has_no_content_and_one_without_a_volume_is_counted_apart() -> None:
    tally = Tally()
    tally.add([Seen("train", "", "x.png"), Seen("train", "1", "y.PNG")])
    assert (tally.unnamed, tally.volumes, tally.contents) == (1, {"1": {"train": 1}}, [])
    assert tally.suffixes == {"png": 1, "PNG": 1}
    tally.add_slices("val", [], [])
    assert len(tally.totals) == 1
