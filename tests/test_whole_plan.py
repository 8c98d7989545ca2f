"""What is found out about a block at once is what its slices give one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.destination import Destinations, file_names, fold, label_path
from planbalance.model import Layout, Operation, PlanHeader
from planbalance.planfile import Facts, seal
from planbalance.planfile.seal import names_of, runs
from tests.plans import POOLED, draft, operation

NAMES = ["a", "x", "A", "é", "e\u0301", "a.b", "x.png", "x.txt", "ß", "ss", ".", "ı"]
SUFFIXES = ["png", "PNG", "jpg", "dcm", "JpeG"]
FOLDERS = ["", "a/", "x.png/", "x.txt/", "a/x.txt/", "a.png/b/"]
slices = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.sampled_from(SUFFIXES), st.integers(0, 1))


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    """Slices of one split, collisions among them; half of the time all have one suffix."""
    one = draw(st.none() | st.sampled_from(SUFFIXES))
    return [
        operation(f"images/train/{folder}{name}.{one or suffix}", tears=tears, input=tears)
        for folder, name, suffix, tears in draw(st.lists(slices, min_size=1, max_size=8))
    ]


def one_by_one(header: PlanHeader, below: list[str], rows: list[Operation]) -> tuple[list[str], list[str]]:
    """Return the stems of a block, and the paths of the slices that collide with another one or with a folder."""
    folders = {fold(block.folder.removeprefix("images/train").strip("/")) for block in header.blocks} - {""}
    folders |= {folder.rpartition("/")[0] for folder in folders} - {""}
    images = [fold(path) for path in below]
    stems = [image[: image.rfind(".")] for image in images]
    refused = [
        each for each, image in zip(rows, images, strict=True) if not folders.isdisjoint({image, label_path(image)})
    ]
    refused += [each for at, each in enumerate(rows) if stems[at] in stems[:at]]
    return stems, [f"{header.inputs[each.input]}/{each.image}" for each in refused]


@given(
    rows=operations(),
    layout=st.sampled_from(["keep", "by-volume"]),
    prefixes=st.sampled_from([("", "B-"), ("A-", "a-")]),
)
@settings(max_examples=300, deadline=None)
def test_a_block_has_the_facts_of_its_slices(rows: list[Operation], layout: Layout, prefixes: tuple[str, str]) -> None:
    sources = tuple(POOLED._replace(prefix=prefix) for prefix in prefixes)
    header = seal(draft(rows, layout=layout, sources=sources, inputs=("/data/a", "/data/b")), rows).header
    destinations = Destinations(header.sources, layout)
    for folder, block in runs(layout, rows, names_of(header, rows)):
        facts = Facts(header).of(folder, block)
        placed = list(map(destinations.of, block))
        stems, refused = one_by_one(
            header, [f"{each.folder}/{each.name}".removeprefix("images/train/") for each in placed], block
        )
        assert facts.stems.split("\n") == stems
        assert list(facts.refused) == refused
        volumes = [volume.id for volume in header.volumes]
        kept = [(volumes[number // 2], bool(number % 2), name) for number, name in facts.kept.each()]
        assert kept == [(each.volume, each.positive, to.name) for to, each in zip(placed, block, strict=True)]
        assert Facts(header).kept(block) == facts.kept
        assert facts.bytes == sum(each.image_size + each.label_size for each in block)
        assert file_names(header.sources, block) == [each.name for each in placed]


@pytest.mark.parametrize("folder", ["x.png", "x.txt", "X.PNG", "X.txt/b"])
def test_an_image_or_label_with_the_name_of_a_folder_is_refused(folder: str) -> None:
    rows = [operation("images/train/x.png"), operation(f"images/train/{folder}/y.png")]
    header = seal(draft(rows), rows).header
    refused = [Facts(header).of(block.folder, [row]).refused for block, row in zip(header.blocks, rows, strict=True)]
    assert refused == [("/data/in/images/train/x.png",), ()]
