"""The plan of an import is the same, to the byte, on every Python, machine and version of the libraries.

The sources are written by this module alone, byte by byte: no library may change them.
"""

import hashlib
import json
import os
import re
import struct
from pathlib import Path

from planbalance import api

# A change here means that everybody's imports change: say so in CHANGELOG.
DIGEST = "1ca44e3a428fd43eef7c1367fec18c1bce07df870d5450f4eeffda5e8f0c4e49"
ROWS, COLUMNS, SLICES = 10, 8, 3
TOML = """
classes = ["tear"]

[[source]]
name = "clinic"
format = "mdai"
annotations = "export.json"
images = "dicom"

[[source]]
name = "photos"
format = "coco"
annotations = "instances.json"
images = "pictures"
volume-pattern = "trailing-number"
"""
SIZES_OF_4_BYTES = (b"OB", b"OW", b"UN", b"SQ")


def element(group: int, number: int, kind: bytes, value: bytes | str) -> bytes:
    """Return one element of a DICOM file, explicit and little-endian (PS3.5 section 7.1.2)."""
    data = value.encode() if isinstance(value, str) else value
    data += b"\0" * (len(data) % 2) if kind in (b"UI", b"OW", b"OB") else b" " * (len(data) % 2)
    size = struct.pack("<HI", 0, len(data)) if kind in SIZES_OF_4_BYTES else struct.pack("<H", len(data))
    return struct.pack("<HH", group, number) + kind + size + data


def word(number: int) -> bytes:
    return struct.pack("<H", number)


def dicom(knee: int, at: int) -> bytes:
    """Return one slice: an oblique orientation, a rescale with decimals, and a patient for both knees."""
    series = f"1.2.{knee}"
    meta = element(2, 2, b"UI", "1.2.840.10008.5.1.4.1.1.4") + element(2, 3, b"UI", f"{series}.{at}")
    meta += element(2, 0x10, b"UI", "1.2.840.10008.1.2.1")
    values = [(31 * knee + 7 * at * place + place * place * 13) % 4001 for place in range(ROWS * COLUMNS)]
    elements = (
        element(8, 0x16, b"UI", "1.2.840.10008.5.1.4.1.1.4"),
        element(8, 0x18, b"UI", f"{series}.{at}"),
        element(8, 0x60, b"CS", "MR"),
        element(8, 0x80, b"LO", "St Mary"),
        element(0x10, 0x10, b"PN", "Doe^Jane"),
        element(0x10, 0x20, b"LO", "Patient-7"),
        element(0x20, 0xD, b"UI", f"{series}.8"),
        element(0x20, 0xE, b"UI", f"{series}.9"),
        element(0x20, 0x13, b"IS", str(SLICES - at)),
        element(0x20, 0x32, b"DS", f"{3.3 * at:.6f}\\1.5\\-20.25"),
        element(0x20, 0x37, b"DS", "0.017452\\0.999848\\0\\0\\0\\-1"),
        element(0x28, 2, b"US", word(1)),
        element(0x28, 4, b"CS", "MONOCHROME2"),
        element(0x28, 0x10, b"US", word(ROWS)),
        element(0x28, 0x11, b"US", word(COLUMNS)),
        element(0x28, 0x100, b"US", word(16)),
        element(0x28, 0x101, b"US", word(12)),
        element(0x28, 0x102, b"US", word(11)),
        element(0x28, 0x103, b"US", word(0)),
        element(0x28, 0x1052, b"DS", "-3.7"),
        element(0x28, 0x1053, b"DS", "1.234567"),
        element(0x7FE0, 0x10, b"OW", struct.pack(f"<{len(values)}H", *values)),
    )
    return b"\0" * 128 + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + b"".join(elements)


def bitmap(seed: int) -> bytes:
    """Return a BMP file of 8 x 10 grey pixels."""
    colours = b"".join(struct.pack("<BBBB", grey, grey, grey, 0) for grey in range(256))
    pixels = bytes((seed + 3 * place) % 256 for place in range(ROWS * COLUMNS))
    start = 14 + 40 + len(colours)
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, COLUMNS, ROWS, 1, 8, 0, len(pixels), 2835, 2835, 256, 0)
    return head + info + colours + pixels


def mdai_export() -> str:
    def annotation(identity: str, knee: int, at: int, box: dict[str, float]) -> dict[str, object]:
        named = {"StudyInstanceUID": f"1.2.{knee}.8", "SeriesInstanceUID": f"1.2.{knee}.9"}
        named |= {"SOPInstanceUID": f"1.2.{knee}.{at}", "id": identity, "labelId": "L", "createdById": "U"}
        return {**named, "frameNumber": None, "width": COLUMNS, "height": ROWS, "data": box}

    annotations = [
        annotation("A", 1, 0, {"x": 0.1, "y": 1 / 3, "width": 2.7, "height": 4.4}),
        annotation("B", 1, 1, {"x": 6.125, "y": -1, "width": 9, "height": 3}),
        annotation("C", 2, 9, {"x": 1, "y": 1, "width": 2, "height": 2}),
        annotation("D", 2, 2, {"x": 1, "y": 1, "width": 0, "height": 2}),
    ]
    labels = [{"id": "L", "name": "tear", "scope": "INSTANCE", "annotationMode": "bbox"}]
    groups = [{"id": "G", "name": "Reading", "labels": labels}]
    return json.dumps({"labelGroups": groups, "datasets": [{"id": "D", "annotations": annotations}]})


def coco_instances() -> str:
    images = [{"id": at, "file_name": f"ankle-{at}.bmp", "width": COLUMNS, "height": ROWS} for at in (1, 2)]
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 0, "bbox": [0.7, 2.3, 1 / 7, 5.55]},
        {"id": 2, "image_id": 1, "category_id": 0, "segmentation": [[1, 1.1, 4.9, 2, 3, 7.77]]},
        {"id": 3, "image_id": 2, "category_id": 0, "segmentation": {"size": [ROWS, COLUMNS], "counts": [23, 5, 52]}},
    ]
    return json.dumps({"images": images, "categories": [{"id": 0, "name": "tear"}], "annotations": boxes})


def write_sources(root: Path) -> None:
    files: dict[str, bytes] = {
        "sources.toml": TOML.encode(),
        "export.json": mdai_export().encode(),
        "instances.json": coco_instances().encode(),
        "key": b"0123456789abcdef" * 4,
    }
    files |= {f"dicom/knee{knee}/{at}.dcm": dicom(knee, at) for knee in (1, 2) for at in range(SLICES)}
    files |= {f"pictures/ankle-{at}.bmp": bitmap(at) for at in (1, 2)}
    for number, (name, data) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + number))


def test_the_plan_of_an_import_has_the_digest_that_it_had_elsewhere(tmp_path: Path) -> None:
    write_sources(tmp_path / "raw")
    made = api.import_dataset(
        sources=str(tmp_path / "raw/sources.toml"),
        group_key=str(tmp_path / "raw/key"),
        output=str(tmp_path / "out"),
        plan_file=str(tmp_path / "import.json"),
        jobs=1,
    )
    plan = (tmp_path / "import.json").read_text()
    assert made.plan.header.digest in plan.partition("\n")[0]
    moved = plan.replace(made.plan.header.digest, "").replace(json.dumps(str(tmp_path))[1:-1], "/data")
    assert not re.search(r"/tmp|\\u", moved)
    fates = {fate: count for fate, count in made.plan.header.fates.items() if count}
    assert fates == {"no-image": 1, "degenerate": 1, "clipped": 1, "used": 4}
    assert hashlib.sha256(moved.encode()).hexdigest() == DIGEST, moved
