"""Find where in each of many file names the volume, the patient and the slice number are.

Folders and file name form one chain of fields, from the general to the particular. An id of fewer fields keeps more
slices together: the split may be less balanced, but nothing leaks. So fields are taken off the end until what is left
names more than single images. Where one reading is coarser than another, the coarser one decides what must stay in one
split. docs/explanation/names.md has the figures.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Final, NamedTuple

from planbalance.naming.fields import (
    CLASS_WORDS,
    ENOUGH,
    FEW,
    FILM_WORDS,
    LONGEST_NUMBER,
    MADE_WORDS,
    MOST_CLASSES,
    PART_WORDS,
    PATIENT_WORDS,
    PLACE_WORDS,
    POSITION_WORDS,
    SCENE_WORDS,
    SINGLE,
    SLICE_WORDS,
    SURE,
    VOLUME_WORDS,
    Field,
    bound_to,
    fields_of,
    has_digit,
    made_from,
    share,
)
from planbalance.naming.forms import by_form, conventions, strays
from planbalance.naming.slice_first import slice_first

_MOST_BELOW: Final = 8  # series, channels or views of one patient, on average
_SMALL: Final = 12  # a field with no more values is a list of words: channels, planes, sides
_NEARLY_ALL: Final = 0.95  # of the names
_MOST: Final = 0.8  # of the names
_MOST_NUMBERED: Final = 3  # channels with the same letters and a number: t1, t2
_RECURS: Final = 0.1  # share of texts that stand behind several ids, from which on they recur


class Span(NamedTuple):
    """A piece of a text."""

    start: int
    end: int


class Layout(NamedTuple):
    """Where in one path (below its image folder, without its suffix) the parts of its reading stand."""

    text: str
    volume: Span
    patient: Span | None
    number: Span | None

    def part(self, span: Span | None) -> str:
        """Return the text of one of the parts, `""` where there is none."""
        return "" if span is None else self.text[span.start : span.end]

    @property
    def lead(self) -> str:
        """What stands before the patient in the volume."""
        return "" if self.patient is None else self.text[self.volume.start : self.patient.start]

    @property
    def unit(self) -> str:
        """What must stay in one split: the patient, else the volume."""
        return self.part(self.patient or self.volume)


class FoundLayouts(NamedTuple):
    """What was found.

    Attributes:
        layouts: one for each path, in their order.
        other: another reading, where the names allow two; a message must show both.
        apart: the reading by which equal ids in several folders are different ids, where folders without a digit were
            left out and several of them hold the same id.
        crosses: the other reading divides the units of this one, and is divided by it: neither is the safe one.
    """

    layouts: list[Layout]
    other: list[Layout] | None = None
    apart: list[Layout] | None = None
    crosses: bool = False


class NoReadingError(ValueError):
    """Nothing in the names can be a volume; the message is the reason, as the end of a sentence."""


@dataclass(slots=True)
class _Name:
    """A path while its end is taken off: `fields[:last]` is what may still be the volume."""

    text: str
    fields: list[Field]
    last: int
    folder: str = ""  # the folder of a class, plane or organ that was left out
    made: bool = False  # a tool wrote words before it
    original: str = ""  # without what tools add: the copies of an image have one in common
    number: Field | None = None
    patient: tuple[int, int] | None = None  # first and last field of a patient that a word names

    def id(self, last: int | None = None) -> str:
        """Return the text from the first field to the last one that is left."""
        last = self.last if last is None else last
        return self.text[self.fields[0].start : self.fields[last - 1].end] if last else ""

    @property
    def floor(self) -> int:
        """How many fields must stay."""
        return 1 if self.patient is None else self.patient[1] + 1

    @property
    def end(self) -> Field:
        """The last field that is left."""
        return self.fields[self.last - 1]

    @property
    def own(self) -> list[Field]:
        """The fields of the file name, folders left out."""
        part = self.text.count("/")
        return [each for each in self.fields[: self.last] if each.part == part]

    def keep(self, fields: Sequence[Field]) -> None:
        """Keep these fields only."""
        self.fields, self.last = list(fields), len(fields)

    def take_off(self, count: int, *, number: bool = False) -> None:
        """Take fields off the end, as far as they may go; `number`: the last of them counts slices."""
        if self.last - count >= self.floor:
            if number:
                self.number = self.end
            self.last -= count


@dataclass(slots=True)
class _Search:
    """All names, and what was taken off their ends so far."""

    names: list[_Name]
    first_dropped: bool = False  # a first field that differs in nearly all names
    parts_off: bool = False  # tiles, crops, channels: several images of one slice
    slices_off: bool = False
    slices_named: bool = False  # by a word such as slice or frame

    def ids(self) -> Counter[str]:
        """Count images by what is left of their names."""
        return Counter(name.id() for name in self.names)

    def ends(self) -> list[Field]:
        """Return the last field of each name."""
        return [name.end for name in self.names]

    def can_take_off(self, count: int = 1) -> bool:
        """Return whether `count` fields can be taken off nearly all names."""
        return share(name.last - count >= name.floor for name in self.names) >= _NEARLY_ALL

    def take_off(self, count: int = 1) -> None:
        """Take fields off the ends of all names."""
        for name in self.names:
            name.take_off(count)

    def single(self) -> float:
        """Return the share of ids that hold one image and its copies; an id in two left-out folders counts as two."""
        ids: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for name in self.names:
            ids[name.folder, name.id()].add(name.original)
        return share(len(originals) == 1 for originals in ids.values())


def find_layouts(paths: Sequence[str]) -> FoundLayouts:
    """Find volume, patient and slice number in names that no plainer rule reads.

    `paths` lie below their image folder and carry a suffix.

    Raises:
        NoReadingError: the names have ids of images or of classes only.
    """
    forms = by_form(paths)
    others = strays(forms)
    found = _find_layouts([path for path in paths if path not in others])
    main = {form: several for form, several in forms.items() if several[0] not in others}
    _refuse_several_conventions(conventions(main), found.layouts)
    if not others:
        return found
    readings = [None if one is None else _with_strays(one, paths, others) for one in found[:3]]
    return FoundLayouts(readings[0] or [], readings[1], readings[2], found.crosses)


def _refuse_several_conventions(groups: Sequence[Sequence[str]], layouts: Sequence[Layout]) -> None:
    """Refuse names of several datasets in one folder, if a reading divides a tenth of what one of them shows alone."""
    if len(groups) < 2:
        return
    read = {one.text: one.unit for one in layouts}
    for group in groups:
        try:
            alone = _find_layouts(group).layouts
        except NoReadingError:
            continue
        units: defaultdict[str, set[str]] = defaultdict(set)
        for one in alone:
            units[one.unit].add(read[one.text])
        if share(len(several) > 1 for several in units.values()) >= _RECURS:
            shown = ", ".join(each[0] for each in groups[:3])
            raise NoReadingError(f"follow several conventions, which no one reading keeps whole ({shown})")


def _with_strays(layouts: Sequence[Layout], paths: Sequence[str], others: Mapping[str, Field]) -> list[Layout]:
    """Return the layouts with those of the strays at their places: the first field is the volume, and the patient."""
    patients = any(one.patient is not None for one in layouts)
    main = iter(layouts)
    found = []
    for path in paths:
        first = others.get(path)
        if first is None:
            found.append(next(main))
        else:
            volume = Span(first.start, first.end)
            found.append(Layout(path[: path.rfind(".")], volume, volume if patients else None, None))
    return found


def _find_layouts(paths: Sequence[str]) -> FoundLayouts:
    names = [_Name(text, fields, len(fields)) for text in (path[: path.rfind(".")] for path in paths)
             for fields in [fields_of(text)]]  # fmt: skip
    if not all(name.fields for name in names):
        raise NoReadingError("hold neither letters nor digits")
    search = _Search(names)
    _take_off_what_tools_add(names)
    _split_dates_from_numbers(names)
    _split_fields_of_several_numbers(names)
    _leave_out_class_words(names)
    _leave_out_repeated_folders(names)
    _leave_out_class_folders(names)
    _leave_out_unique_first_field(search)
    if (found := _as_im_dash(names)) is not None:
        return found
    crossing = _slice_first(search)
    _leave_out_slice_first(search)
    _find_named_patients(names)
    _last_of_uid(search)
    while search.can_take_off() and any(_takes_something_off(step, search) for step in _ENDS):
        pass
    _cut_before_slice_words(search)
    _cut_behind_films(names)
    _join_shorter_ids(names)
    _refuse_class_folders(names)
    found = _with_patients(search)
    if crossing is not None and _crosses(crossing, found.layouts):
        return found._replace(other=crossing, crosses=True)
    return found._replace(apart=_with_folders(names, found.layouts))


# ---- before the chain is read ---------------------------------------------------------------------------------------


def _take_off_what_tools_add(names: Sequence[_Name]) -> None:
    """Take off augmentation words, at either end of a file name, and the `(1)` of a copy whose original is there."""
    for name in names:
        count = made_from(name.fields)
        if count < len(name.own):
            name.last -= count
        own = name.own
        skip = _made_before(own)
        if skip:
            name.made = True
            name.keep([*name.fields[: name.last - len(own)], *own[skip:]])
    originals = {name.id() for name in names}
    copies = [name for name in names if _is_copy(name, originals)]
    of_each = Counter(name.id(name.last - 1) for name in copies)
    few = len(copies) < _MOST * len(names) and max(of_each.values(), default=0) <= _MOST_COPIES
    for name in copies:
        if few or _is_in_parentheses(name.text, name.end):
            name.last -= 1
    for name in names:
        name.keep(name.fields[: name.last])
        name.original = name.id()


_MOST_COPIES: Final = 5  # of one image
_LONGEST_COPY: Final = 3  # digits of a copy's number or its angle


def _is_copy(name: _Name, originals: Collection[str]) -> bool:
    """Return whether a name is another one with a number behind it: `(1)`, `_90`."""
    if name.last < 2 or not name.end.is_number or name.end.part != name.fields[name.last - 2].part:
        return False
    return len(name.end.text) <= _LONGEST_COPY and name.id(name.last - 1) in originals


def _leave_out_class_words(names: Sequence[_Name]) -> None:
    """Leave out a first field of the file name that is a class or a split: `pos_knee_03`, `neg_knee_04`."""
    if any(len(name.own) < 3 or len(name.own) < name.last for name in names):
        return
    words = {name.fields[0].text.lower() for name in names}
    if len(words) > 1 and words <= CLASS_WORDS:
        for name in names:
            name.keep(name.fields[1:])


def _made_before(own: Sequence[Field]) -> int:
    """Return how many first fields of a file name a tool wrote before it: `flip_`, `Copy of `."""
    skip = 0
    while skip < len(own) - 1 and own[skip].word in MADE_WORDS:
        skip += 1
        if own[skip - 1].word == "copy" and own[skip].text.lower() == "of" and skip < len(own) - 1:
            skip += 1
    return skip


_GROUP: Final = re.compile(r"[^0-9]*[0-9]+|[^0-9]+\Z")


def _split_dates_from_numbers(names: Sequence[_Name]) -> None:
    """Split `20120314_153045`, read as date and time, where most names have a date and a number that is no time."""
    for column in range(max(len(name.fields) for name in names)):
        ones = [name.fields[column] for name in names if column < len(name.fields)]
        if not any(one.is_stamp for one in ones) or share(one.is_date and not one.is_stamp for one in ones) < 0.5:
            continue
        for name in names:
            one = name.fields[column] if column < len(name.fields) else None
            found = None if one is None or not one.is_stamp else _DATE_AND_NUMBER.fullmatch(one.text)
            if one is not None and found is not None:
                pieces = [Field(found[each], one.start + found.start(each), one.start + found.end(each), one.part)
                          for each in (1, 2)]  # fmt: skip
                name.keep([*name.fields[:column], *pieces, *name.fields[column + 1 :]])


_DATE_AND_NUMBER: Final = re.compile(r"(.+)[-_ ]([0-9]{6})")


def _split_fields_of_several_numbers(names: Sequence[_Name]) -> None:
    """Split `E18752S4I19` and `r03c09f02` where the letters of that field are the same in all names."""
    columns = min(len(name.own) for name in names)
    for column in range(columns):
        ones = [name.own[column] for name in names]
        skeletons = {_skeleton(one) for one in ones}
        before = {name.own[column - 1].text.lower() for name in names} if column else set()
        if len(names) < 2 or len(skeletons) > 1 or before & PATIENT_WORDS:
            continue
        if not re.search("#[A-Za-z]+#", skeletons.pop()):
            continue
        for name, one in zip(names, ones, strict=True):
            at = name.fields.index(one)
            pieces = [Field(each[0], one.start + each.start(), one.start + each.end(), one.part)
                      for each in _GROUP.finditer(one.text)]  # fmt: skip
            name.keep([*name.fields[:at], *pieces, *name.fields[at + 1 :]])
        return


def _skeleton(one: Field) -> str:
    """Return the text of a field with `#` in place of each number."""
    return re.sub("[0-9]+", "#", one.text)


def _is_in_parentheses(text: str, one: Field) -> bool:
    return one.is_number and text[one.start - 1 : one.start] == "(" and text[one.end : one.end + 1] == ")"


def _leave_out_repeated_folders(names: Sequence[_Name]) -> None:
    """Leave out folders that the names below begin with: `case1/case1_03`, `p10/p10032725`."""
    depth = max(name.text.count("/") for name in names)
    parts: list[dict[int, list[str]]] = []
    for name in names:
        texts: defaultdict[int, list[str]] = defaultdict(list)
        for one in name.fields:
            texts[one.part].append(one.text.lower())
        parts.append(dict(texts))
    repeated = {
        part
        for part in range(depth)
        if share(_begins_below(texts, part) for texts in parts if part in texts) >= _NEARLY_ALL
    }
    for name in names:
        own = name.text.count("/")
        name.keep([one for one in name.fields if one.part == own or one.part not in repeated])


def _begins_below(texts: dict[int, list[str]], part: int) -> bool:
    here = texts[part]
    below = [texts[other] for other in texts if other > part]
    return any(
        other[: len(here)] == here or (len(here) == 1 and len(here[0]) > 1 and other[0].startswith(here[0]))
        for other in below
    )


def _leave_out_class_folders(names: Sequence[_Name]) -> None:
    """Leave out first folders without a digit, fewer than 20 of them: classes, planes, organs, split words.

    A patient may lie in several of them.
    """
    while True:
        inner = [name for name in names if name.fields[0].part < name.text.count("/")]
        firsts = [tuple(one.text for one in name.fields if one.part == name.fields[0].part) for name in inner]
        rest = [[one for one in name.fields if one.part > name.fields[0].part] for name in inner]
        if len(inner) < _NEARLY_ALL * len(names) or not all(rest) or not _are_classes(set(firsts)):
            return
        if len({_next_id(name, fields) for name, fields in zip(inner, rest, strict=True)}) <= len(set(firsts)) > 1:
            return  # each holds the same few series: the folders are the patients
        for name, first, fields in zip(inner, firsts, rest, strict=True):
            name.folder += "/".join(first)
            name.keep(fields)


def _next_id(name: _Name, fields: Sequence[Field]) -> str:
    """Return the next folder's text; of a file name, what stands before its last field."""
    own = [one for one in fields if one.part == fields[0].part]
    own = own[:-1] if own[0].part == name.text.count("/") else own
    return name.text[own[0].start : own[-1].end] if own else ""


def _are_classes(texts: Collection[Sequence[str]]) -> bool:
    """Return whether these are fewer than 20 texts, none with a digit."""
    return len(texts) < MOST_CLASSES and not any(has_digit(field) for fields in texts for field in fields)


def _leave_out_unique_first_field(search: _Search) -> None:
    """Leave out a first field of the file name that no two names share while the next one groups them.

    Label Studio's `<8 hex digits>-`, accession and instance numbers.
    """
    owned = [name.own for name in search.names]
    if len(owned) < 2 or any(len(own) < 3 for own in owned):
        return
    in_folders = any(len(own) < name.last for name, own in zip(search.names, owned, strict=True))
    counted = all(own[1].is_number or own[1].word in POSITION_WORDS for own in owned)
    if in_folders and (counted or not any(one.has_digit for own in owned for one in own[1:-1])):
        return  # `PAT001/1559f547-IM_0012`: the folder is the volume, and the file name holds the slice only
    images = len({name.original for name in search.names})
    firsts, seconds = {own[0].text for own in owned}, {own[1].text for own in owned}
    if len(firsts) < 0.98 * images or len(seconds) > _MOST * images:
        return
    search.first_dropped = True
    for name, own in zip(search.names, owned, strict=True):
        name.keep(own[1:])


def _as_im_dash(names: Sequence[_Name]) -> FoundLayouts | None:
    """Return the reading of names that have the form `IM<slice>-<volume>` once added words are taken off."""
    layouts = []
    for name in names:
        first = name.fields[0]
        if not (name.last > 1 and first.text.startswith("IM") and first.text[2:].isdigit()):
            return None
        if first.part != name.text.count("/") or name.text[first.end] != "-":
            return None
        volume = Span(name.fields[1].start, name.end.end)
        layouts.append(Layout(name.text, volume, None, Span(first.start + 2, first.end)))
    return FoundLayouts(layouts)


def _slice_first(search: _Search) -> list[Layout] | None:
    """Return the reading by which file names begin with the slice; it is taken at once where their form decides."""
    names = search.names
    if any(name.fields[0].part < name.text.count("/") for name in names) or len(names) < ENOUGH:
        return None
    found = slice_first([name.fields[: name.last] for name in names])
    if found is None:
        return None
    layouts = [
        Layout(
            name.text, Span(name.fields[found.at + 1].start, name.end.end), None, Span(*name.fields[found.at].digits)
        )
        for name in names
    ]
    if not found.certain:
        return layouts
    _take_off_first(search, [found.at + 1] * len(names))
    return None


def _take_off_first(search: _Search, counts: Sequence[int]) -> None:
    """Take so many fields off the beginning of each name; the last of them counts slices."""
    for name, count in zip(search.names, counts, strict=True):
        if count:
            name.number = name.fields[count - 1]
            name.keep(name.fields[count:])
    search.slices_off = search.slices_named = all(counts)


def _crosses(other: Sequence[Layout], layouts: Sequence[Layout]) -> bool:
    """Return whether a reading divides most units of another one."""
    units: defaultdict[str, set[str]] = defaultdict(set)
    for one, read in zip(other, layouts, strict=True):
        units[one.unit].add(read.unit)
    return share(len(several) > 1 for several in units.values()) >= 0.5


def _leave_out_slice_first(search: _Search) -> None:
    """Leave out a first slice number with its word, where a field with a digit follows: `slice_012_patient_3`."""
    firsts = [_first_slice(name) for name in search.names]
    if share(first > 0 for first in firsts) < _RECURS:
        return
    _take_off_first(search, firsts)


def _first_slice(name: _Name) -> int:
    """Return how many first fields of a file name are a slice number and its word; 0 where a folder stands first."""
    fields = name.fields
    if len(fields) > 1 and fields[0].is_number and fields[0].part == name.text.count("/"):
        patient = bound_to(fields, len(fields) - 1, PATIENT_WORDS)  # `003_case12`
        return 1 if patient == 1 and len(fields[0].text) <= LONGEST_NUMBER else 0
    for index in range(min(2, len(fields) - 1)):
        bound = bound_to(fields, index, SLICE_WORDS)
        if bound == 0 and fields[0].part == name.text.count("/") and len(fields[index].number) <= LONGEST_NUMBER:
            return index + 1 if any(one.has_digit for one in fields[index + 1 :]) else 0
    return 0


def _find_named_patients(names: Sequence[_Name]) -> None:
    """Note the field that a word names as the patient (`patient007`, `sub-01`), where most names have one."""
    found = [_named_patient(name) for name in names]
    if share(each is not None for each in found) >= 0.5:
        for name, each in zip(names, found, strict=True):
            name.patient = each


def _named_patient(name: _Name) -> tuple[int, int] | None:
    fields = name.fields
    for index, one in enumerate(fields):
        bound = bound_to(fields, index, PATIENT_WORDS)
        if bound is not None:
            return bound, index
        follower = fields[index + 1] if index + 1 < len(fields) else None
        if follower is None or follower.part != one.part or one.text.lower() not in PATIENT_WORDS:
            continue
        # BIDS: `sub-<label>`, the label without a digit too
        if follower.has_digit or (one.text == "sub" and name.text[one.end : follower.start] == "-"):
            return index, index + 1
    return None


# ---- what stands behind the volume ----------------------------------------------------------------------------------


def _constant(search: _Search) -> bool:
    """Take off a last field that is the same in all names."""
    ends = search.ends()
    if len(ends) < 2 or len({one.text for one in ends}) > 1 or (len(ends) < ENOUGH and ends[0].has_digit):
        return False
    search.take_off()
    return True


def _coordinates(search: _Search) -> bool:
    """Take off the place of a tile: `x12_y40`, `512x_1024y`, `(14814,53921)`, multiples of a step such as `0_512`."""
    if not search.can_take_off(2):
        return False
    pairs = [(name, name.fields[name.last - 2], name.end) for name in search.names if name.last > 1]
    pairs = [(name, left, right) for name, left, right in pairs if left.part == right.part]
    if len(pairs) < _NEARLY_ALL * len(search.names):
        return False
    named = all({left.letters, right.letters} in _AXES for _, left, right in pairs)
    if not (named or all(_is_a_pair(*pair) for pair in pairs) or _is_a_grid([pair[1:] for pair in pairs])):
        return False
    search.take_off(2)
    search.parts_off = True
    return True


_AXES: Final = ({"x", "y"}, {"xmin", "ymin"}, {"left", "top"}, {"row", "col"}, {"r", "c"}, {"i", "j"})


def _is_a_pair(name: _Name, left: Field, right: Field) -> bool:
    text = name.text
    between = text[left.end : right.start].strip()
    return left.is_number and right.is_number and between == "," and text[left.start - 1 : left.start] == "("


def _is_a_grid(pairs: Sequence[tuple[Field, Field]]) -> bool:
    if not all(left.is_number and right.is_number for left, right in pairs):
        return False
    columns = [[int(pair[side].text) for pair in pairs] for side in (0, 1)]
    return all(len(set(column)) > 1 and gcd(*column) >= 8 for column in columns)


def _slice_with_word(search: _Search) -> bool:
    """Take off a number that a word calls a slice or a frame, with its word."""
    if search.slices_off:
        return False
    bound = [bound_to(name.fields, name.last - 1, POSITION_WORDS) for name in search.names]
    if share(each is not None for each in bound) < _MOST:
        return False
    for name, each in zip(search.names, bound, strict=True):
        if each is not None:
            name.take_off(name.last - each, number=True)
        elif name.end.is_number:
            name.take_off(1, number=True)
    search.slices_off = search.slices_named = True
    return True


def _part_of_a_picture(search: _Search) -> bool:
    """Take off the number of a crop, a cell or a lesion, with its word."""
    bound = [bound_to(name.fields, name.last - 1, PART_WORDS) for name in search.names]
    if search.slices_off or share(each is not None for each in bound) < _NEARLY_ALL:
        return False
    for name, each in zip(search.names, bound, strict=True):
        if each is not None:
            name.take_off(name.last - each, number=True)
    search.parts_off = True
    return True


def _channel(search: _Search) -> bool:
    """Take off a last field of a few values that are not plain numbers: channels, planes, sides, views, classes."""
    ends = search.ends()
    values = len({one.text for one in ends})
    if search.slices_off or values > _SMALL or len(ends) < 4 * values or all(one.is_number for one in ends):
        return False
    if values > _MOST_NUMBERED and len({one.word for one in ends}) == 1 and all(one.ends_in_number for one in ends):
        return False  # it counts something
    words = [bound_to(name.fields, name.last - 1, VOLUME_WORDS) is not None for name in search.names]
    if share(words) >= 0.5 or share(one.text.lower() in FILM_WORDS for one in ends) >= 0.5:
        return False
    if not _recurs_behind_others(search.names):
        return False
    search.take_off()
    search.parts_off = True
    return True


def _recurs_behind_others(names: Sequence[_Name]) -> bool:
    """Return whether most last fields recur behind several ids, and enough ids are left without them."""
    before: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        if name.last > name.floor:
            before[name.end.text].add(name.id(name.last - 1))
    shorter = {one for several in before.values() for one in several}
    return share(len(several) > 1 for several in before.values()) >= 0.5 and len(shorter) >= FEW


def _number(search: _Search) -> bool:
    """Take off a last number, plain or behind the same letters in all names: the slice."""
    ends = search.ends()
    (letters, times), *_ = Counter(one.word for one in ends).most_common(1)
    with_letters = times >= _NEARLY_ALL * len(ends) and letters not in PATIENT_WORDS | VOLUME_WORDS
    with_letters = with_letters and share(one.ends_in_number for one in ends) >= _NEARLY_ALL
    if search.slices_off or not (with_letters or share(one.is_number for one in ends) >= _MOST):
        return False
    shorter = {name.id(name.last - 1) for name in search.names if name.last > 1}
    if len(shorter) < FEW <= len(search.ids()) and search.single() < SINGLE:
        return False  # it is part of the volume
    if search.parts_off and not (_counts_slices(search) or share(one.is_date for one in ends) >= _MOST):
        return False
    for name in search.names:
        if name.end.ends_in_number:
            name.take_off(1, number=True)
    search.slices_off = True
    return True


def _counts_slices(search: _Search) -> bool:
    """Return whether the last numbers start again behind each of several ids."""
    behind: defaultdict[str, set[str]] = defaultdict(set)
    before: defaultdict[str, set[str]] = defaultdict(set)
    for name in search.names:
        if name.last < 2:
            return False
        behind[name.id(name.last - 1)].add(name.end.text)
        before[name.end.text].add(name.id(name.last - 1))
    numbered = sum(map(has_digit, behind))
    each = sum(map(len, behind.values())) / len(behind)
    return numbered >= FEW and each >= 2 and share(len(ids) > 1 for ids in before.values()) >= 0.5


def _last_of_uid(search: _Search) -> bool:
    """Take the last number off UIDs where what is left of them groups the images: series and instance."""
    ends = search.ends()
    found = [_LAST_OF_UID.fullmatch(one.text) for one in ends]
    if search.slices_off or not all(found):
        return False
    shorter = {match[1] for match in found if match is not None}
    if not FEW <= len(shorter) <= 0.5 * len(ends):
        return False
    for name, one, match in zip(search.names, ends, found, strict=True):
        if match is not None:
            cut = one.start + len(match[1])
            name.fields[name.last - 1] = one._replace(text=match[1], end=cut)
            name.number = Field(match[2], cut + 1, one.end, one.part)
    search.slices_off = True
    return True


_LAST_OF_UID: Final = re.compile(r"([0-9]+(?:\.[0-9]+){3,})\.([0-9]{1,4})")


def _anything_that_tells_images_apart(search: _Search) -> bool:
    """Take off a last field where most of what is left names one image."""
    if len(search.names) < ENOUGH or search.single() < SINGLE:
        return False
    if len({name.id(max(name.floor, name.last - 1)) for name in search.names}) < FEW <= len(search.ids()):
        return False
    for name in search.names:
        name.take_off(1, number=name.end.number != "")
    return True


# Tried in this order, again and again until none applies. A new kind of ending is one entry.
_ENDS: Final[tuple[Callable[[_Search], bool], ...]] = (
    _constant,
    _coordinates,
    _slice_with_word,
    _part_of_a_picture,
    _channel,
    _number,
    _last_of_uid,
    _anything_that_tells_images_apart,
)


def _takes_something_off(step: Callable[[_Search], bool], search: _Search) -> bool:
    """Return whether a step applied and shortened a name: otherwise it would apply for ever."""
    before = sum(name.last for name in search.names)
    return step(search) and sum(name.last for name in search.names) < before


def _cut_before_slice_words(search: _Search) -> None:
    """Cut what is left before a word that says slice or frame, where something with a digit stands before it.

    That number is the slice, unless one with such a word stood behind it (`patient1_frame01_slice_3`).
    """
    for name in search.names:
        for index in range(name.last - 1, name.floor - 1, -1):
            bound = bound_to(name.fields, index, SLICE_WORDS)
            if bound is not None and bound >= name.floor and any(one.has_digit for one in name.fields[:bound]):
                name.last = bound
                if not search.slices_named:
                    name.number = name.fields[index]


def _cut_behind_films(names: Sequence[_Name]) -> None:
    """Cut behind the suffix of a film (`knee_04.mp4#t=10.3`, `yard-3_mp4-39`): its frames are one volume."""
    for name in names:
        for index in range(name.floor - 1, name.last):
            if name.fields[index].text.lower() in FILM_WORDS:
                name.last = index + 1


def _join_shorter_ids(names: Sequence[_Name]) -> None:
    """Shorten ids where the next field counts slices in other names: `knee_3_07_90` where there is `knee_3_08`.

    In `knee_3_07_90` the search takes off 90, so 07 would be part of the volume; in `knee_3_08` it is the slice.
    """
    behind: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        if name.last < len(name.fields):
            behind[name.id()].add(_skeleton(name.fields[name.last]))
    for name in names:
        for last in range(name.floor, name.last):
            following = name.fields[last]
            if following.has_digit and _skeleton(following) in behind.get(name.id(last), ()):
                name.last, name.number = last, following if following.number else None
                break


def _refuse_class_folders(names: Sequence[_Name]) -> None:
    """Refuse fewer than 20 numbered folders that hardly share a file name: they are grades or classes.

    The slices of volumes start again in each folder, or continue from one folder to the next.
    """
    if any(name.end.part == name.text.count("/") for name in names):
        return
    folders = {name.id() for name in names}
    stems: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        stems[name.text[name.text.rfind("/") + 1 :]].add(name.id())
    grades = 1 < len(folders) < MOST_CLASSES and all(folder.isdigit() and len(folder) < 3 for folder in folders)
    if not grades or share(len(ids) > 1 for ids in stems.values()) >= _RECURS:
        return
    ordered = sorted(stems, key=lambda stem: (len(stem), stem))
    if share(stems[one] == stems[other] for one, other in pairwise(ordered)) < _MOST:
        raise NoReadingError(f"lie in {len(folders)} folders that look like classes: {', '.join(sorted(folders)[:5])}")


# ---- patients -------------------------------------------------------------------------------------------------------


def _with_patients(search: _Search) -> FoundLayouts:
    """Return the layouts with the patient that names show above the volume."""
    names = search.names
    last = [name.last for name in names]
    ends = _ends_of_patients(search)
    starts = _starts(names, ends or last)
    if ends is None and starts is None and (long := _long_numbers(names)) is not None:
        return FoundLayouts([_layout(name, (at, at + 1)) for name, at in zip(names, long, strict=True)])
    layouts = []
    for index, name in enumerate(names):
        first = starts[index] if starts is not None else _start_of_patient(name)
        has_patient = ends is not None or starts is not None
        layouts.append(_layout(name, (first, (ends or last)[index]) if has_patient else None))
    layouts = _plain(_without_sides(layouts))
    units = {one.unit for one in layouts}
    _refuse_dates(units)
    _refuse_images(names, layouts)
    if len(units) < SURE and (search.first_dropped or (ends is not None and not any(name.patient for name in names))):
        return FoundLayouts(layouts, [one._replace(patient=None) for one in layouts])
    if all(name.made and unit.isdigit() for name, unit in zip(names, (one.unit for one in layouts), strict=True)):
        return FoundLayouts(layouts, layouts)
    above = _ids_above(search) if ends is None else None
    if above is None:
        return FoundLayouts(layouts)
    return FoundLayouts(layouts, [_layout(name, (0, end)) for name, end in zip(names, above, strict=True)])


def _with_folders(names: Sequence[_Name], layouts: Sequence[Layout]) -> list[Layout] | None:
    """Return the layouts with the left-out folders, where they make equal ids different; None where they do not."""
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for name, one in zip(names, layouts, strict=True):
        folders[one.unit].add(name.folder)
    if all(len(several) == 1 for several in folders.values()):
        return None
    return [one._replace(volume=Span(0, (one.patient or one.volume).end), patient=None) for one in layouts]


def _ends_of_patients(search: _Search) -> list[int] | None:
    """Return where the patient ends in each name; None where names show none above the volume."""
    names = search.names
    if any(name.patient for name in names):
        return [name.last if name.patient is None else name.patient[1] + 1 for name in names]
    return None if _are_films(names) else _shorter_ids(search, _without_channels(search))


def _are_films(names: Sequence[_Name]) -> bool:
    """Return whether the ids of half of the names or more hold the suffix of a film."""
    return share(any(one.text.lower() in FILM_WORDS for one in name.fields[: name.last]) for name in names) >= 0.5


def _ids_above(search: _Search) -> list[int] | None:
    """Return where shorter ids end that may be patients, or sites or sets: the names alone do not show which."""
    names = search.names
    if _are_films(names):
        return None
    volumes = len(search.ids())
    for length in range(max(name.last for name in names) - 1, 0, -1):
        ends = [min(length, name.last) for name in names]
        behind: defaultdict[str, set[str]] = defaultdict(set)
        for name, end in zip(names, ends, strict=True):
            if end < name.last:
                behind[name.fields[end].text].add(name.id(end))
        shorter = {name.id(end) for name, end in zip(names, ends, strict=True)}
        again = share(len(ids) > 1 for ids in behind.values())
        if not _may_be_patients(shorter, again, volumes):
            continue
        follower = [name.fields[end] for name, end in zip(names, ends, strict=True) if end < name.last]
        last = [name.fields[end - 1] for name, end in zip(names, ends, strict=True)]
        scenes = any(one.word in SCENE_WORDS for one in follower)
        if not scenes and share(map(_is_no_patient, last)) < 0.9 and len({one.text for one in last}) > 1:
            return ends
    return None


def _may_be_patients(shorter: Collection[str], again: float, volumes: int) -> bool:
    """Return whether shorter ids may be patients; `again`: the share of the next fields that recur behind several."""
    numbered = any(map(has_digit, shorter))
    if len(shorter) >= FEW:
        return len(shorter) < volumes and again >= (_RECURS if numbered else 0.5)
    # a few patients with the same series each
    return numbered and 1 < len(shorter) < volumes <= _MOST_BELOW * len(shorter) and again >= 0.5


def _plain(layouts: list[Layout]) -> list[Layout]:
    """Return the layouts without patients where each volume is a patient of its own."""
    pairs = {(one.part(one.volume), one.unit) for one in layouts}
    if len({pair[1] for pair in pairs}) < len(pairs):
        return layouts
    return [one._replace(patient=None) for one in layouts]


def _layout(name: _Name, patient: tuple[int, int] | None) -> Layout:
    """Return where the parts of a name stand; `patient`: its first field and the one behind its last."""
    return Layout(
        name.text,
        Span(name.fields[0].start, name.end.end),
        None if patient is None else Span(name.fields[patient[0]].start, name.fields[patient[1] - 1].end),
        None if name.number is None else Span(*name.number.digits),
    )


_SIDE: Final = re.compile(r"(.*[0-9])([A-Za-z]{1,2})\Z", re.DOTALL)


def _without_sides(layouts: list[Layout]) -> list[Layout]:
    """Return the layouts with patients that end before a side or a repetition: `08L` and `08R`, `131A` and `131B`."""
    found = {one.unit: _SIDE.match(one.unit) for one in layouts}
    sides: defaultdict[str, set[str]] = defaultdict(set)
    for unit, match in found.items():
        sides[unit if match is None else match[1]].add("" if match is None else match[2])
    letters = {side for several in sides.values() for side in several}
    if len(letters) > 4 or len(sides) < FEW or share(len(several) > 1 for several in sides.values()) < _RECURS:
        return layouts
    shorter = []
    for one in layouts:
        match, span = found[one.unit], one.patient or one.volume
        end = span.end if match is None else span.end - len(match[2])
        shorter.append(one._replace(patient=Span(span.start, end)))
    return shorter


def _long_numbers(names: Sequence[_Name]) -> list[int] | None:
    """Return where in each id a long number stands that several ids share: an examination, a record; None: nowhere."""
    volumes = len({name.id() for name in names})
    for back in range(1, min(name.last for name in names) + 1):
        ones = [name.fields[name.last - back] for name in names]
        values = {one.text for one in ones}
        if not FEW <= len(values) < volumes <= _MOST_BELOW * len(values):
            continue
        if all(one.is_stamp or (len(one.number) >= FEW and not one.is_date) for one in ones):
            return [name.last - back for name in names]
    return None


def _refuse_images(names: Sequence[_Name], layouts: Sequence[Layout]) -> None:
    """Refuse ids that number tiles or slices, and those that group images of several class folders only."""
    units = {one.unit for one in layouts}
    if all(_is_position(unit) for unit in units):
        raise NoReadingError(f"tell places in a picture or a volume ({', '.join(sorted(units)[:3])}), not volumes")
    ids: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for name, one in zip(names, layouts, strict=True):
        ids[name.folder, one.lead, one.unit].add(name.original)
    enough = len(names) >= ENOUGH or all(one.number is None and one.patient is None for one in layouts)
    if enough and share(len(originals) == 1 for originals in ids.values()) >= SINGLE:
        raise NoReadingError("tell images apart, not volumes")


def _is_position(unit: str) -> bool:
    fields = fields_of(unit)
    bound = bound_to(fields, len(fields) - 1, SLICE_WORDS | PART_WORDS) if fields else None
    if bound is None or len(fields[-1].number) > LONGEST_NUMBER or fields[-1].is_date:
        return False
    return not any(one.has_digit for one in fields[:bound])


def _refuse_dates(units: Collection[str]) -> None:
    """Refuse ids that differ in nothing but dates."""
    cut = [fields_of(unit) for unit in units]
    rest = {tuple(one.text for one in fields if not one.is_date) for fields in cut}
    dated = all(any(one.is_date for one in fields) for fields in cut)
    if len(units) > 1 and dated and len(rest) == 1 and not any(one.is_stamp for fields in cut for one in fields):
        raise NoReadingError("tell dates, and a date is no volume")


def _without_channels(search: _Search) -> list[int]:
    """Return where ids end without the channels, phases, planes and cameras at their ends."""
    names = [_Name(name.text, name.fields, name.last) for name in search.names]
    volumes = len(search.ids())
    for _ in range(4):
        ends = {name.end.text for name in names}
        if len(ends) > _SMALL or volumes < 2 * len(ends) or not _recurs_behind_others(names):
            break
        shorter = {name.id(max(1, name.last - 1)) for name in names}
        if volumes > _MOST_BELOW * len(shorter) or any(
            _is_no_patient(name.fields[max(0, name.last - 2)]) for name in names
        ):
            break
        if _are_classes([(one,) for one in shorter]):  # or the names of persons: nothing here tells which
            break
        for name in names:
            name.take_off(1)
    return [name.last for name in names]


def _shorter_ids(search: _Search, most: Sequence[int]) -> list[int] | None:
    """Return where the shortest beginning of each id ends that may be a patient; None where there is none.

    At least 5 patients, on average at most 8 volumes of each, and no date or site. `most`: how long it may be.
    """
    names = search.names
    volumes = len(search.ids())
    for length in range(1, max(most)):
        ends = [min(length, end) for end in most]
        shorter = {name.id(end) for name, end in zip(names, ends, strict=True)}
        if len(shorter) < FEW or volumes > _MOST_BELOW * len(shorter):
            continue
        last = [name.fields[end - 1] for name, end in zip(names, ends, strict=True)]
        if len({one.text for one in last}) == 1:
            continue
        if len(shorter) == volumes and all(one.is_stamp for one in last):
            continue  # when each recording began; what follows may be the patient
        if share(map(has_digit, shorter)) >= _NEARLY_ALL and share(map(_is_no_patient, last)) < 0.9:
            return ends
    return list(most) if len({name.id(end) for name, end in zip(names, most, strict=True)}) < volumes else None


def _is_no_patient(one: Field) -> bool:
    return (one.is_date and not one.is_stamp) or one.word in PLACE_WORDS


def _start_of_patient(name: _Name) -> int:
    """Return the first field of a patient that a word names; a site before it belongs to it."""
    if name.patient is None or any(one.word in PLACE_WORDS for one in name.fields[: name.patient[0]]):
        return 0
    return name.patient[0]


def _starts(names: Sequence[_Name], ends: Sequence[int]) -> list[int] | None:
    """Return where patients begin behind a first field that is no part of them: `ED_`, `axial_`, `CNV-`, a date.

    Only where the same id stands behind several of them.
    """
    if any(name.patient for name in names) or min(ends) < 2:
        return None
    same = next((at for at in range(min(ends) - 1) if len({name.fields[at].text for name in names}) > 1), 0)
    firsts: defaultdict[str, set[str]] = defaultdict(set)
    for name, end in zip(names, ends, strict=True):
        firsts[name.text[name.fields[same + 1].start : name.fields[end - 1].end]].add(name.fields[same].text)
    heads = {head for several in firsts.values() for head in several}
    again = share(len(several) > 1 for several in firsts.values())
    if len(firsts) < FEW or len(heads) < 2:
        return None
    numbered = share(map(has_digit, firsts)) >= _NEARLY_ALL
    words = numbered and not any(map(has_digit, heads)) and len(heads) < MOST_CLASSES and again >= _RECURS
    few = len(heads) < FEW and again >= _RECURS and not all(name.fields[same].word in PLACE_WORDS for name in names)
    dates = all(name.fields[same].is_date for name in names) and again > 0
    return [same + 1] * len(names) if words or (numbered and few) or dates else None
