"""Naming conventions of real datasets and tools, as templates: `auto` reads them right, or refuses.

Each entry writes names from a template and says what must stay in one split. `{p}` counts patients (or volumes where
the names know no patient); the other fields are what a convention puts around them.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.errors import InputError
from planbalance.model import Naming
from planbalance.naming import find_names, reader

PATIENTS = 12
Values = Sequence[Any] | Callable[[random.Random], Any]


class Convention(NamedTuple):
    """A template with the values of its fields, apart from `p`; a function draws a new value for each name."""

    name: str
    template: str
    fields: dict[str, Values]
    patients: Values = range(3, 3 + PATIENTS)

    def written(self) -> list[tuple[str, Any]]:
        """Return the names and what each must stay together with."""
        draw = random.Random(self.name)
        patients = self.patients(draw) if callable(self.patients) else self.patients
        return [
            (self.template.format(p=patient, **fields), patient) for patient in patients for fields in self._drawn(draw)
        ]

    def _drawn(self, draw: random.Random) -> Iterator[dict[str, Any]]:
        listed = {key: values for key, values in self.fields.items() if not callable(values)}
        for values in product(*listed.values()):
            drawn = {key: make(draw) for key, make in self.fields.items() if callable(make)}
            yield dict(zip(listed, values, strict=True)) | drawn


SLICES = range(4, 12)


def hex8(draw: random.Random) -> str:
    """Return what Label Studio puts before a name."""
    return f"{draw.randrange(16**8):08x}"


def hex32(draw: random.Random) -> str:
    """Return what Roboflow appends, or a file name that says nothing."""
    return f"{draw.randrange(16**32):032x}"


def seven_digits(draw: random.Random) -> int:
    """Return an accession number, or a coordinate in a whole slide."""
    return draw.randrange(10**6, 10**7)


def uids(draw: random.Random) -> list[str]:
    """Return UIDs of series."""
    return [f"1.2.826.0.1.3680043.{draw.randrange(10**5)}.{draw.randrange(10**30)}" for _ in range(PATIENTS)]


def hashes(draw: random.Random) -> list[str]:
    """Return patients as hashes."""
    return [f"{draw.randrange(16**16):016x}" for _ in range(PATIENTS)]


def numbers(draw: random.Random) -> list[int]:
    """Return patients as five digits."""
    return draw.sample(range(10**4, 10**5), PATIENTS)


# The units are exactly the patients.
RIGHT = [
    Convention("volume, slice", "file1000{p:03d}_{s}.png", {"s": SLICES}),
    Convention("slice word", "volume-{p}_slice_{s}.jpg", {"s": SLICES}),
    Convention("slice word glued", "case{p:04d}_slice{s:03d}.png", {"s": SLICES}),
    Convention("letter and number", "MVI_{p:05d}_img{s:05d}.jpg", {"s": SLICES}),
    Convention("frames", "knee_{p}_f{s:06d}.jpg", {"s": SLICES}),
    Convention("a folder a volume", "scan{p:02d}/{s:03d}.png", {"s": SLICES}),
    Convention("a UID and a slice", "{p}_{s:03d}.png", {"s": SLICES}, uids),
    Convention("a UID as folder", "{p}/{s}.png", {"s": SLICES}, uids),
    Convention("modalities", "BraTS2021_{p:05d}_{m}_{s:03d}.png", {"m": ("flair", "t1", "t1ce", "t2"), "s": SLICES}),
    Convention(
        "modality behind the slice", "BraTS20_{p:03d}_slice_{s:03d}_{m}.png", {"s": SLICES, "m": ("flair", "t2")}
    ),
    Convention("planes", "ID{p:04d}_{m}_{s:04d}.png", {"m": ("axial", "coronal", "sagittal"), "s": SLICES}),
    Convention("planes as folders", "{m}/{p:04d}_s{s}.png", {"m": ("axial", "coronal", "sagittal"), "s": SLICES}),
    Convention("phases in front", "{m}_case{p:02d}_{s}.png", {"m": ("ED", "ES"), "s": SLICES}),
    Convention("phases with a frame word", "patient{p:03d}_frame{m:02d}_slice_{s}.png", {"m": (1, 12), "s": SLICES}),
    Convention("windows as folders", "{p:03d}/{m}/{s}.jpg", {"m": ("brain", "bone"), "s": SLICES}),
    Convention(
        "study, series, image", "PA{p:06d}/ST00000{t}/SE00000{m}/IM{s:06d}.png", {"t": (1, 2), "m": (1, 2), "s": SLICES}
    ),
    Convention("numbers above numbers", "{p}_{m}_{s:04d}.png", {"m": (101, 102), "s": SLICES}, numbers),
    Convention("BIDS", "sub-{p:02d}_ses-{t}_T2w_{s}.png", {"t": (1, 2), "s": SLICES}),
    Convention(
        "BIDS in folders",
        "sub-{p:02d}/ses-{t}/anat/sub-{p:02d}_ses-{t}_T1w_slice{s:03d}.png",
        {"t": (1, 2), "s": SLICES},
    ),
    Convention("views", "patient{p:05d}_study{t}_view{m}_frontal.jpg", {"t": (1, 2), "m": (1, 2)}),
    Convention("sides", "bus_{p:04d}-{m}.png", {"m": "lr"}, range(40)),
    Convention("sides glued", "image_{p:02d}{m}.png", {"m": "LR"}, range(40)),
    Convention(
        "patients of several class folders",
        "{m}/{m}-{p}-{s}.jpeg",
        {"m": ("CNV", "DME", "DRUSEN"), "s": (1, 2, 3)},
        numbers,
    ),
    Convention(
        "classes above patients",
        "XR_{m}/patient{p:05d}/study1_{t}/image{s}.png",
        {"m": ("HAND", "WRIST"), "t": ("positive", "negative"), "s": (1, 2)},
    ),
    Convention(
        "accession number in front",
        "{a}_{p}_MG_{m}_{t}_ANON.png",
        {"a": seven_digits, "m": "LR", "t": ("CC", "ML")},
        hashes,
    ),
    Convention("Label Studio", "{a}-case{p:02d}_slice_{s:03d}.png", {"a": hex8, "s": SLICES}),
    Convention("Label Studio before the guide's names", "{a}-IM{s}-01-02-{p:05d}.png", {"a": hex8, "s": SLICES}),
    Convention("Roboflow", "knee_{p:02d}_mp4-{s}_jpg.rf.{a}.jpg", {"s": SLICES, "a": hex32}),
    Convention("Roboflow, slice word", "case{p:02d}_slice_{s}_png.rf.{a}.jpg", {"s": SLICES, "a": hex32}),
    Convention("augmented", "case_{p:04d}_slice_{s:03d}{m}.png", {"s": SLICES, "m": ("", "_flip_h", "_rot90")}),
    Convention("augmented, numbered", "case{p:02d}_slice_{s:03d}_aug_{m}.png", {"s": SLICES, "m": (0, 1, 2)}),
    Convention("augmented, in front", "{m}pt{p:03d}_{s:03d}.png", {"s": SLICES, "m": ("", "flip_", "rot90_")}),
    Convention("augmented guide's names", "IM{s}-01-02-{p:05d}{m}.png", {"s": SLICES, "m": ("", "_aug_1")}),
    Convention("copies", "CT-{p}-{s}{m}.png", {"s": SLICES, "m": ("", "(1)")}),
    Convention("tiles by a step", "P{p:04d}__1__{s}___{t}.png", {"s": (0, 824, 1648), "t": (0, 824, 1648)}),
    Convention("tiles of slices", "case{p:02d}_{s}_{m}_{t}_{m}.png", {"s": (20, 21, 22), "m": (0, 192), "t": (0, 256)}),
    Convention(
        "tiles by x and y",
        "{p}/{m}/{p}_idx5_x{s}_y{t}_class{m}.png",
        {"m": (0, 1), "s": (51, 101, 151), "t": (1, 51)},
        numbers,
    ),
    Convention(
        "tiles in parentheses", "WSI-{p:02d}_({a},{b}).jpg", {"s": range(8), "a": seven_digits, "b": seven_digits}
    ),
    Convention("cells", "C{p}Thin_IMG_20150607_{t}_cell_{s}.png", {"t": (101112, 111213), "s": SLICES}),
    Convention("slice first", "slice_{s:03d}_patient_{p:03d}.png", {"s": SLICES}),
    Convention("slice first, a letter", "z{s:03d}-HIP{p:02d}.png", {"s": SLICES}),
    Convention("number before the case", "{s:03d}_case{p:02d}.png", {"s": SLICES}),
    Convention("exam, series, image in one field", "E{p}S{m}I{s}.png", {"m": (2, 3), "s": SLICES}, numbers),
    Convention("films", "surgery{p:02d}.mp4#t={s}.25.jpg", {"s": SLICES}),
    Convention(
        "random file names below a patient", "p1{p:07d}/s5{t}/{a}.jpg", {"t": (1, 2), "s": (1, 2, 3), "a": hex32}
    ),
    Convention("a date between", "P{p:03d}_20190203_T2_{s:03d}.png", {"s": SLICES}),
    Convention("a date in front", "2019020{t}_P{p:03d}_{s:03d}.png", {"t": (1, 2), "s": SLICES}),
    Convention("a date and a time in front", "2019020{t}174501_{p}_{s:03d}.png", {"t": (1, 2), "s": SLICES}, numbers),
    Convention("slice before a hash", "{s:03d}_{p}.png", {"s": range(20)}, hashes),
    Convention("slice before a UID", "img_{s:03d}_{p}.png", {"s": range(20)}, uids),
    Convention("slice first in German", "Schicht_{s:02d}_Fall_{p:02d}.png", {"s": range(20)}),
    Convention("copies of Google Drive", "{m}endo{p:02d}_out{s:04d}.png", {"s": SLICES, "m": ("", "Copy of ")}),
    Convention("copies with an angle", "liver_{p}_{s}{m}.png", {"s": SLICES, "m": ("", "_90")}),
    Convention("flipped below a folder", "case_{p:05d}/imaging/{m}{s:03d}.png", {"s": SLICES, "m": ("", "flip_")}),
    Convention("flipped files of series in one field", "{m}p{p:02d}s{s:03d}.png", {"s": SLICES, "m": ("", "flip_")}),
    Convention("a hash before the slice, below a patient", "PAT{p:03d}/{a}-IM_{s:04d}.png", {"s": SLICES, "a": hex8}),
    Convention("flipped, with a hash in front", "{a}-{p}_{s}{m}.png", {"s": SLICES, "a": hex8, "m": ("", "_flip")}),
    Convention("classes in front", "{m}_knee{p:02d}_{s:03d}.png", {"s": SLICES, "m": ("pos", "neg")}),
]

# Nothing in the names is a volume.
REFUSED = [
    ("image ids", [f"ID_{n * 2654435761 % 2**32:08x}.png" for n in range(60)]),
    ("random names", [f"cju{n * 48271 % 2147483647:012d}x.jpg" for n in range(60)]),
    ("numbers", [f"{n}.png" for n in range(1, 60)]),
    ("one word and numbers", [f"BloodImage_{n:05d}.jpg" for n in range(60)]),
    ("frames of no film", [f"frame_{n:06d}.png" for n in range(60)]),
    ("classes as words", [f"{word}_{n}.jpg" for word in ("crazing", "patches", "scratches") for n in range(20)]),
    ("classes as folders", [f"{word}/{n}.jpg" for word in ("tear", "no_tear") for n in range(30)]),
    ("classes and copies", [f"{word}/{word} ({n}).png" for word in ("benign", "normal") for n in range(1, 30)]),
    ("grades as folders", [f"{n % 5}/9{n * 7919 % 100000:05d}.png" for n in range(60)]),
    ("splits", [f"train2017/{n:012d}.jpg" for n in range(60)]),
    ("years", [f"{year}_{n}.png" for year in range(2011, 2019) for n in range(9)]),
    ("dates", [f"2019-0{month}-11_{n}.png" for month in range(1, 9) for n in range(9)]),
    ("tiles of one picture", [f"tile_{x}_{y}.png" for x in range(9) for y in range(9)]),
    (
        "a series and a slice behind IM",
        [f"PAT{p:03d}/IM{m:04d}-{s:04d}.png" for p in range(9) for m in (1, 2) for s in range(8)],
    ),
]


def units(paths: Sequence[str]) -> list[str]:
    """Return what must stay in one split by the reading that `auto` gives, name by name."""
    names = find_names(paths).names
    return (
        names.volumes
        if names.patients is None
        else [p or v for p, v in zip(names.patients, names.volumes, strict=True)]
    )


@pytest.mark.parametrize("convention", RIGHT, ids=[one.name for one in RIGHT])
def test_a_convention_is_read_right_and_without_a_warning(convention: Convention) -> None:
    written = convention.written()
    reading = find_names([name for name, _ in written])
    assert reading.warnings == ()
    of_unit = defaultdict(set)
    for unit, (_, patient) in zip(units([name for name, _ in written]), written, strict=True):
        of_unit[unit].add(patient)
    assert all(len(patients) == 1 for patients in of_unit.values()), "two patients in one unit"
    assert len(of_unit) == len({patient for _, patient in written}), "a patient is divided"


@pytest.mark.parametrize("convention", RIGHT, ids=[one.name for one in RIGHT])
def test_the_rule_alone_reads_each_name_alike(convention: Convention) -> None:
    """A plan stores the rule; `verify` and `--extend` read names with it one by one, without the others."""
    paths = [name for name, _ in convention.written()]
    naming, names, *_ = find_names(paths)
    read = reader(Naming(naming.rule, naming.pattern))
    again = [read(path) for path in paths]
    assert [name.volume for name in again if name is not None] == names.volumes
    assert [name.number for name in again if name is not None] == names.numbers


@pytest.mark.parametrize(("paths"), [paths for _, paths in REFUSED], ids=[name for name, _ in REFUSED])
def test_names_without_a_volume_are_refused_with_a_way_out(paths: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        find_names(paths)
    assert caught.value.exit_code == 3
    assert any(path in caught.value.message for path in paths), "a real name is shown"
    assert "--volume-pattern" in caught.value.hint


@pytest.mark.parametrize("seed", range(200))
def test_the_guides_names_are_read_as_the_guide_says_whatever_their_fields(seed: int) -> None:
    """`IM<slice>-<volume>` with 1 to 12 numbers in the volume's second field: no warning, no other reading."""
    draw = random.Random(seed)
    seconds = draw.sample(range(1, 40), draw.randint(1, 12))
    volumes = [
        f"01-{draw.choice(seconds):02d}-{number:05d}" for number in draw.sample(range(10**5), draw.randint(8, 60))
    ]
    paths = [f"IM{n}-{volume}.dcm" for volume in volumes for n in range(1, draw.randint(2, 30))]
    naming, names, warnings, _ = find_names(paths)
    assert naming == Naming("im-dash")
    assert warnings == ()
    assert names.volumes == [path.partition("-")[2].removesuffix(".dcm") for path in paths]


NAMES = ("Smith", "Rossi", "Kim", "Mueller", "Sato", "Garcia", "Chen", "Novak", "Dubois", "Silva")
UNDECIDED = [
    (
        "few patients, or classes",
        [f"{c:05d}/{t:05d}_{s:05d}.png" for c in range(6) for t in range(5) for s in range(6)],
    ),
    (
        "persons, or classes",
        [
            f"{n}/IMG-{m:04d}-{s:05d}.png"
            for n in ("Lis_P", "Kov_A", "Nag_B", "Tar_C", "Ver_D", "Zol_E")
            for m in (1, 2, 3)
            for s in range(5)
        ],
    ),
    (
        "numbers that recur in each of several",
        [f"{a}_{b:03d}_{s}.png" for a in range(11, 18) for b in range(20) for s in range(4)],
    ),
]


CROSSING = [
    ("slice first, or last", [f"{s:03d}_P{p:03d}.png" for p in range(20) for s in range(12 + p % 7)]),
    ("slice first, or last, with letters", [f"I{s:07d}_E{66990 + p}.png" for p in range(30) for s in range(9 + p % 9)]),
    ("slice first, or a view", [f"{s:03d}_{p}.png" for p in NAMES for s in range(10 + len(p))]),
]


@pytest.mark.parametrize("paths", [paths for _, paths in CROSSING], ids=[name for name, _ in CROSSING])
def test_two_readings_that_divide_each_others_volumes_are_refused_with_both_patterns(paths: list[str]) -> None:
    with pytest.raises(InputError, match="can be read in two ways that give different volumes") as caught:
        find_names(paths)
    patterns = [piece.partition("'")[0] for piece in caught.value.hint.split("--volume-pattern '")[1:]]
    assert len(patterns) == 2
    assert len({tuple(find_names(paths, pattern).names.volumes) for pattern in patterns}) == 2


@pytest.mark.parametrize("paths", [paths for _, paths in UNDECIDED], ids=[name for name, _ in UNDECIDED])
def test_where_names_do_not_decide_both_readings_are_shown_and_can_be_pasted(paths: list[str]) -> None:
    reading = find_names(paths)
    (warning,) = reading.warnings
    patterns = [piece.partition("'")[0] for piece in warning.split("--volume-pattern '")[1:]]
    assert len(patterns) == 2
    partitions = {
        tuple(find_names(paths, pattern).names.patients or find_names(paths, pattern).names.volumes)
        for pattern in patterns
    }
    assert len(partitions) == 2, "the two patterns read the names in two ways"
    assert any(path in warning for path in paths)


def test_a_patient_that_names_show_is_said_with_the_way_to_split_by_volume() -> None:
    paths = [f"BraTS2021_{p:05d}_{m}_{s}.png" for p in range(9) for m in ("t1", "t2") for s in range(5)]
    reading = find_names(paths)
    (note,) = reading.notes
    assert "9 patients of 18 volumes" in note
    finer = note.partition("--volume-pattern '")[2].partition("'")[0]
    assert len(set(find_names(paths, finer).names.volumes)) == 18
    assert find_names(paths, finer).names.patients is None


def test_each_image_may_stand_alone_if_that_is_said() -> None:
    paths = [f"site/ISIC_{n:07d}.jpg" for n in range(30)]
    reading = find_names(paths, "image")
    assert reading.naming == Naming("image")
    assert reading.names.volumes == [path.removesuffix(".jpg") for path in paths]


def test_names_that_are_too_long_for_a_pattern_are_named_with_its_limit() -> None:
    pattern = r"(?P<volume>.+)-(.+)-(.+)-(.+)"
    with pytest.raises(InputError, match=r"names of at most \d+ characters") as caught:
        find_names(["a-" + "b" * 300 + "-c-d.png", "a-b-c-d.png"], pattern)
    assert caught.value.kind == "unmatched-names"
    assert "[^_]+_" in caught.value.hint


def test_repetitions_that_end_at_a_separator_read_long_names() -> None:
    pattern = r"(?P<volume>(?P<patient>[^_]+_[^_]+_[^_]+)_[^_]+_[^_]+)_(?P<slice>\d+)(?:_flip|_rot\d+)?"
    name = "_".join(["x" * 40] * 5) + "_12_rot90.png"
    assert find_names([name], pattern).names.numbers == [12]


def test_a_volume_may_be_called_as_tools_call_copies() -> None:
    paths = [f"IM{n}-{volume}.png" for volume in ("copy00012", "copy00013", "rot90") for n in range(1, 9)]
    assert find_names(paths).naming == Naming("im-dash")


def test_what_is_called_alike_in_several_folders_stays_together_and_that_is_said() -> None:
    paths = [f"{site}/{p:03d}_{s}.png" for site in ("Guys", "HH", "IOP") for p in range(12) for s in range(5)]
    reading = find_names(paths)
    assert (len(set(reading.names.volumes)), reading.warnings) == (12, ())
    (note,) = reading.notes
    apart = note.partition("--volume-pattern '")[2].partition("'")[0]
    assert len(set(find_names(paths, apart).names.volumes)) == 36


def test_a_visit_that_few_patients_have_does_not_divide_them() -> None:
    paths = [f"T{t}/{p:03d}/{s:03d}.png" for p in range(18) for t in ((1, 2) if p % 3 == 0 else (1,)) for s in SLICES]
    assert len(set(units(paths))) == 18


def test_a_few_files_of_another_kind_do_not_hide_the_patients() -> None:
    paths = [f"{4000 + p}/{6000 + 2 * p + t}/{s:03d}.png" for p in range(20) for t in (0, 1) for s in SLICES]
    strays = ["test.png", "IMG_9876.png", "unnamed (2).png"]
    assert len(set(units([*paths, *strays]))) == 20 + 3


def test_two_conventions_in_one_folder_are_refused_if_one_reading_divides_what_the_other_shows() -> None:
    first = [f"file1000{p:03d}_{s}.png" for p in range(20) for s in SLICES]
    second = [f"{side}_{p:03d}_{s:02d}.png" for side in "LR" for p in range(20) for s in SLICES]
    assert (len(set(units(first))), len(set(units(second)))) == (20, 20)
    with pytest.raises(InputError, match="follow several conventions"):
        find_names([*first, *second])


def test_a_number_behind_some_names_does_not_turn_slices_into_volumes() -> None:
    paths = [f"knee_{p}_{s}.png" for p in range(20) for s in SLICES]
    turned = [f"knee_{p}_{s}_90.png" for p in range(20) for s in range(20, 24)]
    with pytest.raises(InputError):
        find_names([*paths, *turned])


def test_a_few_patients_with_the_same_series_each_are_not_divided_without_a_word() -> None:
    paths = [f"BraTS_{p:03d}_{m}_{s}.png" for p in range(3) for m in ("t1", "t2", "flair") for s in range(8)]
    (warning,) = find_names(paths).warnings
    assert "(?P<patient>BraTS_" in warning


pieces = st.sampled_from(["case", "slice", "x", "t1", "IM", "aug", "2019", "mp4", "sub", "é", ""])
gaps = st.sampled_from(["_", "-", " ", ".", "/", "  - ", "("])
numbers_behind = st.sampled_from([0, 3, 200])


@given(st.lists(st.tuples(pieces, numbers_behind, gaps), min_size=1, max_size=5), st.integers(10, 30), st.integers())
def test_any_names_of_a_form_are_read_or_refused(form: list[tuple[str, int, str]], count: int, seed: int) -> None:
    """The search ends, and what it finds reads each name alone as it reads them together."""
    draw = random.Random(seed)
    stems = [
        "".join(f"{word}{draw.randrange(most) if most else ''}{gap}" for word, most, gap in form) for _ in range(count)
    ]
    paths = [f"{stem.strip('/') or 'q'}.png" for stem in stems]
    try:
        naming, names, *_ = find_names(paths)
    except InputError:
        return
    read = reader(naming)
    assert [name.volume for path in paths if (name := read(path)) is not None] == names.volumes
