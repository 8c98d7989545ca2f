"""What the two kinds of slices are called in texts."""

import pytest

from planbalance.render.class_labels import NEUTRAL, Words, words_of_names, words_of_plan

TEAR = {"total_images": 3, "total_tear": 1, "total_no_tear": 2}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Meniscus Tear",), Words("meniscus tear", "no meniscus tear")),
        (("tear", "cyst"), NEUTRAL),
        (("class_0",), NEUTRAL),
        (None, NEUTRAL),
    ],
)
def test_only_a_class_with_a_name_gives_the_words(names: tuple[str, ...] | None, words: Words) -> None:
    assert words_of_names(names) == words


def test_the_guides_key_is_no_word_for_a_class_that_nothing_names() -> None:
    assert words_of_plan(("tear",), TEAR) == Words("tear", "no tear")
    assert words_of_plan(("class_0",), TEAR) == NEUTRAL


def test_a_volume_is_with_what_its_class_is_called_or_with_positive_slices() -> None:
    assert words_of_names(("tear",)).in_volumes == "tear"
    assert NEUTRAL.in_volumes == "positive slices"
