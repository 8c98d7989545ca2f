"""File names -> volume, slice and patient: right, or refused, never silently wrong.

A wrong reading divides one volume over many ids, and every one of them leaks. `rules` holds the readings, one entry
each. `auto` searches where none of them is asked for (`search`), writes what it found as a regular expression
(`pattern`) and refuses what cannot be volumes (`checks`); `choice` puts this together and says what was decided.
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
