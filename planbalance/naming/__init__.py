"""File names -> volume, slice and patient: right, or refused, never silently wrong.

Where names are read wrongly, one volume gets several ids, and its slices leak into several splits. `rules` holds the
named rules. Where the user names none, `auto` searches for one (`search`), writes it as a regular expression
(`pattern`) and refuses ids that cannot be volumes (`checks`). `choice` calls them and writes the warnings.
"""

from planbalance.naming.choice import (
    PATHS_LISTED,
    NamesReading,
    find_names,
    find_naming,
    format_example,
    format_examples,
)
from planbalance.naming.rules import (
    OFFERED,
    RULES,
    Name,
    Names,
    Reader,
    compile_pattern,
    read_names,
    reader,
    says_volumes,
    shared_texts,
)

__all__ = [
    "OFFERED",
    "PATHS_LISTED",
    "RULES",
    "Name",
    "Names",
    "NamesReading",
    "Reader",
    "compile_pattern",
    "find_names",
    "find_naming",
    "format_example",
    "format_examples",
    "read_names",
    "reader",
    "says_volumes",
    "shared_texts",
]
