"""The yaml of a data set: read like the trainers do, and harmless whatever it holds."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from planbalance import datayaml
from planbalance.datayaml import CLASS_LIMIT, SIZE_LIMIT, DatasetYaml, parse_dataset_yaml
from planbalance.errors import InputError
from planbalance.model import SPLITS, Split

READ = [
    (
        "the guide's",
        b"path: /data/knees\ntrain: images/train\nval: images/val\ntest: images/test\nnc: 1\nnames: ['tear']\n",
        DatasetYaml(
            "/data/knees", {"train": ("images/train",), "val": ("images/val",), "test": ("images/test",)}, ("tear",)
        ),
    ),
    (
        "Roboflow's",
        b"train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [a, b]\nroboflow:\n  license: {x: [1, {y: z}]}\n",
        DatasetYaml(None, {"train": ("../train/images",), "val": ("../valid/images",)}, ("a", "b")),
    ),
    (
        "Ultralytics'",
        (
            b"path: coco8 # root\ntrain:\n  - a\n  - b.txt\nval: a\ntest: # optional\n"
            b"names:\n  0: x\n  1: y\ndownload: |\n  run()\n"
        ),
        DatasetYaml("coco8", {"train": ("a", "b.txt"), "val": ("a",)}, ("x", "y")),
    ),
    ("names out of order", b"names: {1: b, 0: a}", DatasetYaml(None, {}, ("a", "b"))),
    (
        "names that look like other types",
        b"names: [no, 1, 1.5, 'null', 2001-01-01]",
        DatasetYaml(None, {}, ("no", "1", "1.5", "null", "2001-01-01")),
    ),
    ("nc alone", b"nc: 2", DatasetYaml(None, {}, ("class_0", "class_1"))),
    ("nothing of use", b"kind: Deployment", DatasetYaml(None, {}, None)),
    ("nulls", b"path: ~\ntrain: null\nval:\nnames:\n", DatasetYaml(None, {}, None)),
    (
        "valid and validation are val",
        b"val: a\nvalid: [b, a]\nvalidation: c",
        DatasetYaml(None, {"val": ("a", "b", "c")}, None),
    ),
    ("the same place twice", b"train: [a, a]", DatasetYaml(None, {"train": ("a",)}, None)),
    ("an alias", b"train: &t [a, b]\nval: *t\n", DatasetYaml(None, {"train": ("a", "b"), "val": ("a", "b")}, None)),
    ("the last of equal keys", b"train: a\ntrain: b", DatasetYaml(None, {"train": ("b",)}, None)),
    ("keys that are no texts", b"? [a]\n: b\n1: c\ntrain: d", DatasetYaml(None, {"train": ("d",)}, None)),
    (
        "a tag that would run code",
        b"x: !!python/object/apply:os.system [echo]\ntrain: a",
        DatasetYaml(None, {"train": ("a",)}, None),
    ),
    ("not ASCII", "names: [Läsion, 半月板]".encode(), DatasetYaml(None, {}, ("Läsion", "半月板"))),
    ("byte order mark", b"\xef\xbb\xbfnc: 1", DatasetYaml(None, {}, ("class_0",))),
]


@pytest.mark.parametrize(("text", "wanted"), [case[1:] for case in READ], ids=[case[0] for case in READ])
@pytest.mark.parametrize("loader", ["C", "Python"])
def test_what_trainers_read_is_read(
    text: bytes, wanted: DatasetYaml, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if loader == "Python":
        monkeypatch.setattr(datayaml, "_LOADER", yaml.SafeLoader)
    assert parse_dataset_yaml(text) == wanted


REFUSED = [
    ("empty", b"", "no mapping"),
    ("a list", b"[a, b]", "no mapping"),
    ("a text", b"images", "no mapping"),
    ("no yaml", b"train: [a", "not valid YAML"),
    ("not UTF-8", b"names: [\xff\xfe]", "not valid YAML"),
    ("nc and names disagree", b"nc: 2\nnames: [a]", "'nc' is 2, but 'names' has 1"),
    ("nc zero", b"nc: 0", "'nc' is not a whole number"),
    ("nc huge", b"nc: 99999999999999999999", "'nc' is not a whole number"),
    ("nc a word", b"nc: two", "'nc' is not a whole number"),
    ("nc a list", b"nc: [1]", "'nc' is not a whole number"),
    ("names with a gap", b"names: {0: a, 2: b}", "without a gap"),
    ("names from 1", b"names: {1: a}", "without a gap"),
    ("names by word", b"names: {a: b}", "without a gap"),
    ("names with a null", b"names: {0: }", "without a gap"),
    ("a null among names", b"names: [a, ~]", "neither a list"),
    ("names a text", b"names: tear", "neither a list"),
    ("names nested", b"names: [[a]]", "neither a list"),
    ("names empty", b"names: []", "'names' is empty"),
    ("a control character", b'names: ["a\\x1b[31m"]', "control character"),
    ("a NUL in a path", b'train: "a\\0b"', "control character"),
    ("a split that is a mapping", b"train: {a: b}", "'train' is neither"),
    ("a split nested", b"val: [[a]]", "'val' is neither"),
    ("a path that is a list", b"path: [a]", "'path' is not a text"),
    ("depth", b"x: " + b"[" * 100, "nested more than"),
    ("more depth than any parser takes", b"x: " + b"[" * 5000, "nested more than"),
    (
        "a billion laughs",
        b"a: &a [x,x]\n"
        + b"".join(b"%c: &%c [*%c,*%c,*%c]\n" % (c, c, c - 1, c - 1, c - 1) for c in range(98, 118))
        + b"train: *u",
        "'train' is neither",
    ),
    ("too large", b"#" * (SIZE_LIMIT + 1), "bytes, more than"),
    ("too many names", b"names: [" + b"a," * (CLASS_LIMIT + 1) + b"]", "classes, more than"),
]


@pytest.mark.parametrize(("text", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_meant_is_refused_in_one_sentence(text: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        parse_dataset_yaml(text)
    assert (caught.value.kind, caught.value.exit_code) == ("dataset-yaml", 3)
    assert caught.value.message.isprintable()
    assert caught.value.hint


texts = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8)


@given(
    names=st.lists(texts, min_size=1, max_size=4),
    places=st.dictionaries(st.sampled_from(SPLITS), st.lists(texts, min_size=1, max_size=3, unique=True)),
    mapping=st.booleans(),
)
def test_what_pyyaml_writes_is_read_back(names: list[str], places: dict[Split, list[str]], mapping: bool) -> None:
    listed_names: object = dict(enumerate(names)) if mapping else names
    document: dict[str, object] = {"names": listed_names, "nc": len(names)}
    document.update((str(split), listed) for split, listed in places.items())
    read = parse_dataset_yaml(yaml.safe_dump(document, allow_unicode=True).encode())
    assert read == DatasetYaml(None, {split: tuple(listed) for split, listed in places.items()}, tuple(names))


@given(st.binary(max_size=60) | st.text("trainvlesc:[]{}&*!#'\"\\ \n-01?|>~x", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read = parse_dataset_yaml(data)
    except InputError:
        return
    assert isinstance(read, DatasetYaml)
