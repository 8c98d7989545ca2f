"""What a trainer and a reader of the data set find at its root: dataset.yaml, metadata, hyperparameters, commands."""

import re
from collections.abc import Sequence
from typing import Final

_RESERVED_WORDS: Final = frozenset(("", "total", "images", "positive", "negative"))


def class_word(names: Sequence[str] | None) -> str | None:
    """Return the key word for positive slices in the metadata, such as `tear`, or None where there can be none.

    It is the class name of a one-class set in lower case, other characters than ASCII letters and digits replaced by
    `_`. None where there are several classes or none, or the word is empty, reserved, or begins with `no_`.
    """
    if names is None or len(names) != 1:
        return None
    word = re.sub("[^a-z0-9]", "_", names[0].lower())
    return None if word in _RESERVED_WORDS or word.startswith("no_") else word
