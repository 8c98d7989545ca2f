"""Where the label of an image without one would lie."""

import os.path

from hypothesis import given
from hypothesis import strategies as st

from planbalance.engine.staleness import AbsentLabels
from planbalance.model import Folder, Source
from tests.plans import operation

SOURCES = (Source("", (Folder("images", "labels", None),)),)


@given(st.text(st.sampled_from(".ab"), min_size=1, max_size=6))
def test_the_suffix_of_any_name_ends_as_everywhere(name: str) -> None:
    absent = AbsentLabels(SOURCES)
    expected = ("labels/deep", os.path.splitext(name)[0] + ".txt")
    assert absent.of(operation(image=f"images/deep/{name}")) == expected
