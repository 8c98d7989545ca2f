"""The yaml of a dataset: read like the trainers do, and harmless whatever it holds."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from planbalance.datayaml import LOADER, DatasetYaml, parse_dataset_yaml
from planbalance.errors import InputError
from planbalance.model import CLASS_COUNT_LIMIT, DATA_KEYS, DOCUMENT_SIZE_LIMIT, SPLITS, Split

FETCHES = "it fetches the dataset as it was before, with another split"
NO_TEXT = "its name is not a short text"
TAGGED = "it has a tag, or a key that is not a text"
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
        DatasetYaml(
            None,
            {"train": ("../train/images",), "val": ("../valid/images",)},
            ("a", "b"),
            {"roboflow": {"license": {"x": [1, {"y": "z"}]}}},
        ),
    ),
    (
        "Ultralytics'",
        (
            b"path: coco8 # root\ntrain:\n  - a\n  - b.txt\nval: a\ntest: # optional\n"
            b"names:\n  0: x\n  1: y\ndownload: |\n  run()\n"
        ),
        DatasetYaml("coco8", {"train": ("a", "b.txt"), "val": ("a",)}, ("x", "y"), {}, (("download", FETCHES),)),
    ),
    ("names out of order", b"names: {1: b, 0: a}", DatasetYaml(None, {}, ("a", "b"))),
    (
        "names that look like other types",
        b"names: [no, 1, 1.5, 'null', 2001-01-01]",
        DatasetYaml(None, {}, ("no", "1", "1.5", "null", "2001-01-01")),
    ),
    ("nc alone", b"nc: 2", DatasetYaml(None, {}, ("class_0", "class_1"))),
    ("nothing of use", b"kind: Deployment", DatasetYaml(None, {}, None, {"kind": "Deployment"})),
    ("nulls", b"path: ~\ntrain: null\nval:\nnames:\n", DatasetYaml(None, {}, None)),
    (
        "valid and validation are val",
        b"val: a\nvalid: [b, a]\nvalidation: c",
        DatasetYaml(None, {"val": ("a", "b", "c")}, None),
    ),
    ("the same place twice", b"train: [a, a]", DatasetYaml(None, {"train": ("a",)}, None)),
    ("an alias", b"train: &t [a, b]\nval: *t\n", DatasetYaml(None, {"train": ("a", "b"), "val": ("a", "b")}, None)),
    ("the last of equal keys", b"train: a\ntrain: b", DatasetYaml(None, {"train": ("b",)}, None)),
    (
        "keys that are no texts",
        b"? [a]\n: b\n1: c\ntrain: d",
        DatasetYaml(None, {"train": ("d",)}, None, {}, (("1", NO_TEXT),)),
    ),
    (
        "a tag that would run code",
        b"x: !!python/object/apply:os.system [echo]\ntrain: a",
        DatasetYaml(None, {"train": ("a",)}, None, {}, (("x", TAGGED),)),
    ),
    ("not ASCII", "names: [Läsion, 半月板]".encode(), DatasetYaml(None, {}, ("Läsion", "半月板"))),
    ("byte order mark", b"\xef\xbb\xbfnc: 1", DatasetYaml(None, {}, ("class_0",))),
]


LOADERS = {"fastest": LOADER, "Python": yaml.SafeLoader}


@pytest.mark.parametrize(("text", "wanted"), [case[1:] for case in READ], ids=[case[0] for case in READ])
@pytest.mark.parametrize("loader", LOADERS)
def test_what_trainers_read_is_read(text: bytes, wanted: DatasetYaml, loader: str) -> None:
    assert parse_dataset_yaml(text, loader=LOADERS[loader]) == wanted


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
    ("too large", b"#" * (DOCUMENT_SIZE_LIMIT + 1), "bytes, more than"),
    ("too many names", b"names: [" + b"a," * (CLASS_COUNT_LIMIT + 1) + b"]", "classes, more than"),
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


# ---- what is carried over -------------------------------------------------------------------------------------------

CARRIED = """
kpt_shape: [17, 3]
flip_idx: [0, 2, 1]
channels: 1
kpt_names:
  0: [nose, 'no', "0"]
ratio: 0.5
hex: 0x10
"quoted": "1"
flags: [yes, off, ~, true]
when: 2001-01-01
small: 1e-05
text: |
  two
  lines
again: &a {b: c, d: {}}
alias: *a
nc: 1
names: [tear]
minival: x
planbalance: {digest: abc}
nothing: ~
"""


@pytest.mark.parametrize("loader", LOADERS)
def test_what_training_may_need_is_carried_over_as_what_it_is(loader: str) -> None:
    read = parse_dataset_yaml(CARRIED.encode(), loader=LOADERS[loader])
    assert read.left_out == ()
    wanted = yaml.safe_load(CARRIED)
    for key in ("nc", "names", "minival", "planbalance", "nothing"):
        del wanted[key]
    assert read.keys == {**wanted, "kpt_names": {"0": ["nose", "no", "0"]}, "when": "2001-01-01"}
    assert list(map(type, read.keys["flags"])) == [bool, bool, type(None), bool]
    assert type(read.keys["channels"]) is int


LEFT_OUT = [
    ("a tag", "x: !foo a", TAGGED),
    ("a tag below", "x: [!!python/name:os.system '']", TAGGED),
    ("a key that is a list", "x: {[a]: b}", TAGGED),
    ("a key that is a boolean", "x: {yes: b}", "it has a key that is neither a text nor a whole number"),
    ("a key that looks like a number and is a text", "x: {'0': b}", "it has a key that is neither"),
    ("a key that merges", "a: &a {b: c}\nx: {<<: *a}", "it has a key that is neither"),
    ("infinity", "x: .inf", "a number that is too large"),
    ("no number", "x: .nan", "a number that is too large"),
    ("a number of many digits", f"x: {'9' * 30}", "a number that is too large"),
    ("a number that no Python reads", f"x: {'9' * 5000}", "it holds a number"),
    ("a control character", 'x: "a\\x1b[31m"', "a control character"),
    ("depth", f"x: {'[' * 9}{']' * 9}", "nested too deep"),
    ("many values", f"x: [{'a,' * 10_001}]", "too large"),
    ("a long text", f"x: {'a' * 100_001}", "too long"),
    ("a long key", f"? {'x' * 201}\n: a", NO_TEXT),
    ("a key that is a boolean at the top", "yes: a", NO_TEXT),
    (
        "a billion laughs",
        "a: &a [x,x]\n" + "".join(f"{c}: &{c} [*{b},*{b},*{b}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
        "too large",
    ),
]


@pytest.mark.parametrize(("text", "why"), [case[1:] for case in LEFT_OUT], ids=[case[0] for case in LEFT_OUT])
def test_what_cannot_be_carried_over_is_left_out_with_its_reason(text: str, why: str) -> None:
    read = parse_dataset_yaml(f"{text}\nnames: [tear]\nchannels: 1\n".encode())
    assert read.names == ("tear",)
    assert any(why in reason for _, reason in read.left_out)
    assert all(key.isprintable() and len(key) <= 40 for key, _ in read.left_out)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(texts.filter(lambda key: key not in DATA_KEYS), values, max_size=4))
def test_what_pyyaml_writes_is_carried_over(keys: dict[str, object]) -> None:
    text = yaml.safe_dump({**keys, "names": ["tear"]}, allow_unicode=True)
    read = parse_dataset_yaml(text.encode())
    left_out = {key for key, _ in read.left_out}
    wanted = {key: value for key, value in keys.items() if value is not None and ascii(key)[1:-1] not in left_out}
    assert read.keys == {key: value for key, value in wanted.items() if key not in DATA_KEYS}
