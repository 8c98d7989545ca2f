"""An annotation finds the one image that it names, none, or is refused; it never finds another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.annotations.image_index import ImageIndex
from planbalance.errors import InputError
from planbalance.import_model import PathKey, VolumeKey
from tests.annotations.raw import each, h5, pictures, series


def found(path: str, *files: str) -> str:
    """Return the file that a path finds; "" for none."""
    volumes = each(*files)
    target = ImageIndex(volumes, 0).find(PathKey(path))
    return "" if not target.frames else volumes[target.frames[0][0]].files[0].path


@pytest.mark.parametrize(
    ("path", "files", "file"),
    [
        ("a.png", ["x/a.png"], "x/a.png"),
        ("x/a.png", ["a.png"], "a.png"),
        ("/home/me/x/a.png", ["x/a.png", "y/a.png"], "x/a.png"),
        (r"C:\data\x\a.png", ["x/a.png", "y/a.png"], "x/a.png"),
        ("./x//a.png", ["x/a.png"], "x/a.png"),
        ("a.png", ["a.png", "x/a.png"], "a.png"),
        ("z/x/a.png", ["a.png", "x/a.png"], "x/a.png"),
        ("a", ["a.dcm"], "a.dcm"),
        ("a.jpg", ["a.png"], "a.png"),
        ("a.jpg", ["a.png", "x/a.jpg"], "x/a.jpg"),
        ("a.b", ["a.b.png"], "a.b.png"),
        ("a", ["a.nii.gz"], "a.nii.gz"),
        ("y/a.png", ["x/a.png"], ""),
        ("a", ["a.b"], ""),
        ("A.png", ["a.png"], ""),
        ("b.png", ["a.png"], ""),
        ("", ["a.png"], ""),
        ("../../a.png", ["x/a.png"], ""),
    ],
)
def test_paths(path: str, files: list[str], file: str) -> None:
    assert found(path, *files) == file


def test_the_reason_names_the_image_in_another_folder() -> None:
    target = ImageIndex(each("x/a.png"), 0).find(PathKey("y/a.png"))
    assert target.reason == "the image of this name lies in another folder: x/a.png"


@pytest.mark.parametrize(
    ("path", "files"),
    [("a.png", ["x/a.png", "y/a.png"]), ("a", ["a.png", "a.jpg"]), ("z/a.png", ["x/z/a.png", "y/z/a.png"])],
)
def test_a_path_that_fits_several_images_is_refused(path: str, files: list[str]) -> None:
    with pytest.raises(InputError, match=f"2 images fit the name {path}") as refusal:
        found(path, *files)
    assert (refusal.value.kind, refusal.value.exit_code) == ("ambiguous-image", 3)
    assert len(refusal.value.paths) == 2


def test_two_paths_never_find_one_image() -> None:
    index = ImageIndex(each("0001.png"), 0)
    assert index.find(PathKey("patient1/0001.png")).frames
    with pytest.raises(InputError, match=r"patient1/0001\.png and patient2/0001\.png"):
        index.find(PathKey("patient2/0001.png"))


names = st.sampled_from(["a", "b", "a.png", "b.png", "a.jpg"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@given(st.lists(paths, min_size=1, max_size=6, unique=True), paths)
def test_an_image_is_found_only_if_its_folders_agree(files: list[str], path: str) -> None:
    try:
        file = found(path, *files)
    except InputError:
        return
    if path in files:
        assert file == path
    if file:
        ours, theirs = path.split("/"), file.split("/")
        count = min(len(ours), len(theirs)) - 1
        assert ours[-1].split(".")[0] == theirs[-1].split(".")[0]
        assert ours[len(ours) - 1 - count : -1] == theirs[len(theirs) - 1 - count : -1]


@pytest.mark.parametrize(
    ("name", "volume"),
    [
        ("file1", 0),
        ("file1.h5", 0),
        ("multicoil/file1.h5", 0),
        ("knee-77", 1),
        ("77", 1),
        ("knees/77", 1),
        ("scan", 2),
        ("0000", None),
        ("knees", None),
        ("other/77", None),
    ],
)
def test_volumes_are_found_by_name_file_or_folder(name: str, volume: int | None) -> None:
    volumes = [
        h5("file1", 2),
        series("knee-77", ["1", "2"], folder="knees/77"),
        pictures("p/1.png", "p/2.png", name="scan"),
    ]
    frames = ImageIndex(volumes, 0).find(VolumeKey(volume=name)).frames
    assert {index for index, _ in frames} == (set() if volume is None else {volume})
    assert ImageIndex(volumes, 0).find_line(name) == frames or name == "0000"


def test_a_line_of_a_list_may_name_an_image() -> None:
    assert ImageIndex(each("x/a.png", "x/b.png"), 0).find_line("b.png") == ((1, 0),)
    assert ImageIndex([pictures("x/a.png", "x/b.png", name="x1")], 0).find_line("b.png") == ((0, 1),)


def test_uids_of_series_and_studies_find_all_their_volumes() -> None:
    volumes = [series("a", ["1"]), series("b", ["2"]), series("c", ["3"], study="7")]
    index = ImageIndex(volumes, 0)
    assert index.find(VolumeKey(study_uid="1.2.3")).frames == ((0, 0), (1, 0))
    assert index.find(VolumeKey(series_uid="7.c")).frames == ((2, 0),)
    assert index.find(VolumeKey(study_uid="none")).reason == "no image has this StudyInstanceUID"
