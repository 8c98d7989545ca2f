"""Pictures: 8-bit ones are taken as they are, with the size that trainers see; deeper ones are rendered."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from planbalance.errors import InputError
from planbalance.raw_images import ImageOptions, find_volumes, pixel_digest, read_volume_facts, render
from tests.raw_images.sources import Array, alike, as_array, grey, only_volume, percentiles, pictures_of, pixels

COLOURS = np.random.default_rng(7).integers(0, 256, (6, 4, 3)).astype("u1")
DEEP = [pixels(seed, low=30000, high=36000).astype("u2") for seed in range(4)]


def save(path: Path, array: Array, orientation: int = 1, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
        options["exif"] = exif
    Image.fromarray(array).save(path, **options)  # type: ignore[arg-type]  # whatever the format takes
    return path


def knees(root: Path, arrays: list[Array], suffix: str = "png") -> None:
    """Write pictures with the guide's names, of volumes with four slices each."""
    for index, array in enumerate(arrays):
        save(root / f"IM{index % 4 + 1:04}-knee{index // 4}.{suffix}", array)


def test_pictures_of_8_bits_are_taken_as_they_are(tmp_path: Path) -> None:
    knees(tmp_path, [COLOURS] * 12)
    found = find_volumes(str(tmp_path), ImageOptions()).volumes
    assert [volume.name for volume in found] == ["knee0", "knee1", "knee2"]
    assert not found[0].rendered
    assert [(frame.number, frame.width, frame.height) for frame in found[1].frames] == [(n, 4, 6) for n in range(1, 5)]
    facts = read_volume_facts(str(tmp_path), found[0], ImageOptions())
    assert facts.window is None
    assert facts.digests == (pixel_digest(4, 6, COLOURS.tobytes()),) * 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "RGB"])
def test_every_kind_of_8_bits_can_be_rendered(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    image.save(tmp_path / ("IM1-a.jpg" if mode == "CMYK" else "IM1-a.png"))
    with Image.open(next(tmp_path.iterdir())) as stored:
        wanted = np.asarray(stored.convert("L" if mode in ("1", "L", "LA") else "RGB"))
    assert (pictures_of(tmp_path)[0] == wanted).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_the_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    array = np.zeros((40, 24, 3), "u1")
    array[:10, :6] = 255  # the corner at the top left, as stored
    path = save(tmp_path / f"IM1-a.{suffix}", array, orientation)
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    volume = only_volume(tmp_path)
    frame = volume.frames[0]
    assert (frame.width, frame.height) == ((40, 24) if orientation > 4 else (24, 40))
    shown = as_array(next(render(str(tmp_path), volume, [0], None, ImageOptions())))
    rows, columns = shown.shape[:2]
    at = shown[(rows - 1) * corner[0], (columns - 1) * corner[1], 0]
    others = [shown[0, 0, 0], shown[0, -1, 0], shown[-1, 0, 0], shown[-1, -1, 0]]
    assert at > 200 and sorted(others)[2] < 50  # noqa: PT018 - one statement of the corner
    if suffix != "tif" and find_spec("cv2"):
        cv2 = import_module("cv2")
        assert (cv2.imread(str(path)).shape[:2]) == (frame.height, frame.width)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_of_16_bits_are_rendered_in_one_window(tmp_path: Path, suffix: str) -> None:
    arrays = [array // (index + 1) for index, array in enumerate(DEEP)]
    knees(tmp_path, arrays, suffix)
    volume = only_volume(tmp_path)
    assert volume.rendered
    assert not volume.has_units
    low, high = percentiles(arrays)
    for found, each in zip(pictures_of(tmp_path), arrays, strict=True):
        assert alike(found, grey(each.astype(float), low, high))


def test_deeplesions_32768_stands_for_0(tmp_path: Path) -> None:
    knees(tmp_path, DEEP)
    options = ImageOptions(stored_zero=32768, window="fixed:-1000,2000")
    assert only_volume(tmp_path, options).has_units
    for found, each in zip(pictures_of(tmp_path, options), DEEP, strict=True):
        assert alike(found, grey(each.astype(float) - 32768, -1000, 2000))


def test_pictures_of_floats(tmp_path: Path) -> None:
    arrays = [(array / 7).astype("f4") for array in DEEP]
    knees(tmp_path, arrays, "tif")
    low, high = percentiles(arrays)
    assert alike(pictures_of(tmp_path)[2], grey(arrays[2].astype(float), low, high))


def test_names_that_say_nothing_make_each_folder_a_volume_with_a_warning(tmp_path: Path) -> None:
    for folder in ("left", "right"):
        for name in ("scan", "other scan", "third"):
            save(tmp_path / folder / f"{name}.png", COLOURS)
    save(tmp_path / "alone.png", COLOURS)
    found = find_volumes(str(tmp_path), ImageOptions())
    assert [(volume.name, len(volume.frames)) for volume in found.volumes] == [("images", 1), ("left", 3), ("right", 3)]
    assert [frame.number for frame in found.volumes[1].frames] == [0, 1, 2]
    assert "each folder is one volume: 3 volumes" in found.warnings[0]
    alone = find_volumes(str(tmp_path), ImageOptions(volume_pattern="image"))
    assert len(alone.volumes) == 7
    assert not alone.warnings


def test_two_pictures_of_one_number_are_refused(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        save(tmp_path / f"IM1-a.{suffix}", COLOURS)
    with pytest.raises(InputError) as error:
        find_volumes(str(tmp_path), ImageOptions())
    assert error.value.kind == "colliding-names"
    assert set(error.value.paths) == {"IM1-a.png", "IM1-a.bmp"}


def test_a_volume_of_8_and_16_bits_is_refused(tmp_path: Path) -> None:
    knees(tmp_path, [COLOURS, DEEP[0]])
    with pytest.raises(InputError) as error:
        find_volumes(str(tmp_path), ImageOptions())
    assert error.value.kind == "mixed-depth"


def test_a_picture_that_became_one_of_16_bits_is_refused(tmp_path: Path) -> None:
    knees(tmp_path, [COLOURS, COLOURS])
    volume = only_volume(tmp_path)
    save(tmp_path / "IM0002-knee0.png", pixels(1, 6, 4).astype("u2"))
    with pytest.raises(InputError, match="of another kind than they were"):
        read_volume_facts(str(tmp_path), volume, ImageOptions())


def test_a_file_of_several_pages_is_refused(tmp_path: Path) -> None:
    page = Image.fromarray(COLOURS)
    page.save(tmp_path / "IM1-a.tif", save_all=True, append_images=[page])
    with pytest.raises(InputError, match="several pages"):
        find_volumes(str(tmp_path), ImageOptions())


def test_patients_that_names_show(tmp_path: Path) -> None:
    for patient in range(12):
        for number in range(3):
            save(tmp_path / f"{patient:06}_01_02_{number:03}.png", COLOURS)
    pattern = r"(?P<volume>(?P<patient>\d+)_\d+_\d+)_(?P<slice>\d+)"
    found = find_volumes(str(tmp_path), ImageOptions(volume_pattern=pattern)).volumes
    assert (found[3].name, found[3].patient, len(found)) == ("000003_01_02", "000003", 12)


def test_no_text_names_an_option_that_an_import_does_not_have(tmp_path: Path) -> None:
    """Names of ten kinds, read by no rule, by a rule that does not fit, and by one that is doubtful."""
    seen = 0
    conventions: tuple[tuple[list[str], str], ...] = (
        ([f"scan{at}a.png" for at in range(12)], r"(?P<volume>x+)-(?P<slice>\d+)"),
        ([f"{at:02}/knee.png" for at in range(12)], "trailing-number"),
        ([f"a_{at}_1.png" for at in range(4)] + [f"b_{at}_1.png" for at in range(4)], "trailing-number"),
        ([f"2020_{at}_{at}.png" for at in range(30)], "auto"),
        ([f"{at % 3}/{at}.png" for at in range(30)], "auto"),
        ([f"{word}/{at}.png" for word in ("train", "test") for at in range(12)], "parent-dir"),
    )
    for number, (names, pattern) in enumerate(conventions):
        folder = tmp_path / str(number)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4)).save(folder / name)
        try:
            texts = list(find_volumes(str(folder), ImageOptions(volume_pattern=pattern)).warnings)
        except InputError as error:
            texts = [error.message, error.hint]
        seen += bool(texts)
        assert not any("-map" in text or "--volume-from" in text for text in texts), texts
        assert not any(text.endswith((",", ", .", "or .")) or " ." in text for text in texts), texts
    assert seen >= 3
