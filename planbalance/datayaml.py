"""The yaml of a YOLO dataset, as Ultralytics and YOLOv5 read it: root, image folders by split, class names.

The text is not trusted. The parser's events are read one by one, and tags construct no objects: an alias is looked up
and not copied, depth and size are bounded. Scalars stay texts as they are written, so that a class called `no` is not a
boolean. Only the values of further keys, which are carried over, get the types that YAML gives them and JSON has.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml

from planbalance.errors import InputError
from planbalance.model import (
    CLASS_COUNT_LIMIT,
    DATA_KEYS,
    DOCUMENT_SIZE_LIMIT,
    NO_KEYS,
    SPLITS,
    YAML_DEPTH,
    Split,
    YamlKeys,
    placeholder_names,
)
from planbalance.text import has_control, text_fault

_DEPTH_LIMIT: Final = 50
_TOO_DEEP: Final = f"it is nested more than {_DEPTH_LIMIT} deep"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
# `val: true` of a trainer's own settings and `train: 0.7` of a split's ratios name no folder.
_NO_PLACE: Final = re.compile(r"true|false|[0-9]*\.?[0-9]+%?", re.IGNORECASE)
_SPLIT_KEYS: Final[Mapping[str, Split]] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
# Limits of all that is carried over of one yaml.
_PARTS_LIMIT: Final = 10_000  # values
_TEXT_LIMIT: Final = 100_000  # letters
_KEY_LIMIT: Final = 200  # letters
# PyYAML's loader in C where it was built with one, else the one in Python.
LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Value = str | None | list[Any] | dict[Any, Any] | object


class DatasetYaml(NamedTuple):
    """What a dataset's yaml says.

    Attributes:
        path: the root as written: absolute, relative, or None.
        splits: what `train`, `val` (also spelt `valid`, `validation`) and `test` name, as written: folders, or text
            files of image paths. A split that is not there or empty is left out.
        names: class names by id; `class_0`, `class_1`, ... where the yaml has only `nc` (as in Ultralytics); else None.
        keys: its further keys, without those that name data (`model.DATA_KEYS`).
        left_out: keys that cannot be carried over, and why.
    """

    path: str | None
    splits: Mapping[Split, tuple[str, ...]]
    names: tuple[str, ...] | None
    keys: YamlKeys = NO_KEYS
    left_out: tuple[tuple[str, str], ...] = ()


def parse_dataset_yaml(text: bytes, *, loader: Any = LOADER) -> DatasetYaml:  # noqa: ANN401 - as for `_Events`
    """Return what the yaml says.

    Args:
        text: of the file.
        loader: one of PyYAML's safe loaders.

    Raises:
        InputError: kind `dataset-yaml`: no yaml, no mapping, too large, too deep, or a value of the wrong form. The
            message does not name the file: the caller knows it.
    """
    if len(text) > DOCUMENT_SIZE_LIMIT:
        raise _refused(
            f"it has {len(text):,} bytes, more than {DOCUMENT_SIZE_LIMIT:,}", "Put lists of images into a text file."
        )
    try:
        values = _read_top(_Events(text, loader))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an escape beyond Unicode, in the pure Python parser
        # libyaml 0.2.6 has a limit of its own, a thousand, and reads ahead: it may come first
        deep = "maximum nesting depth" in str(error)
        raise _refused(_TOO_DEEP if deep else f"it is not valid YAML: {_in_one_line(error)}") from error
    found: dict[Split, dict[str, None]] = {}  # each place once, in the order of the yaml
    for key, split in _SPLIT_KEYS.items():
        found.setdefault(split, {}).update(dict.fromkeys(_places(key, values.get(key))))
    path = values.get("path")
    if path is not None and not isinstance(path, str):
        raise _refused("'path' is not a text")
    splits = {split: tuple(found[split]) for split in SPLITS if found.get(split)}
    keys, left_out = _carried(values)
    return DatasetYaml(
        _printable("path", path) if path is not None else None, splits, _class_names(values), keys, left_out
    )


# ---- events ---------------------------------------------------------------------------------------------------------

_OTHER: Final = object()  # a value of a type that no key here may have; it is never carried over
_TAG: Final = "tag:yaml.org,2002:"


class _Plain(str):
    """A scalar without quotes: its type follows from its text."""

    __slots__ = ()


class _Tagged(str):
    """A scalar that has another type than text by its tag."""

    __slots__ = ()


class _Events:
    """The events of one document, and the values of its anchors."""

    def __init__(self, text: bytes, loader: Any) -> None:  # noqa: ANN401 - PyYAML's two loaders have no common type
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)
        self._anchors: dict[str, Value] = {}

    def next(self) -> Any:  # noqa: ANN401 - PyYAML's events have no common type worth naming
        """Return the next event; the starts of the stream and of the document are skipped."""
        for event in self._events:
            if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
                return event
        raise _refused("it ends too early")  # never reached: the parser reports this itself

    def value(self, event: Any, depth: int) -> Value:  # noqa: ANN401 - as above
        """Return the value that starts with `event`: a text, None, a list, a mapping, or `_OTHER`."""
        if isinstance(event, yaml.AliasEvent):
            return self._anchors.get(str(event.anchor), _OTHER)
        if depth > _DEPTH_LIMIT:
            raise _refused(_TOO_DEEP)
        value: Value
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(depth)
        else:
            value = self._mapping(depth)
        if isinstance(value, list | dict) and event.tag not in (None, f"{_TAG}seq", f"{_TAG}map"):
            value = _OTHER
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _sequence(self, depth: int) -> Value:
        items: list[Value] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            items.append(self.value(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> Value:
        pairs: dict[str, Value] = {}
        plain = True
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.value(event, depth + 1)
            item = self.value(self.next(), depth + 1)
            if isinstance(key, str):
                pairs.pop(key, None)  # the last of equal keys, with its own quotes
                pairs[key] = item
            else:
                plain = False
        return pairs if plain else _OTHER


def _scalar(event: Any) -> Value:  # noqa: ANN401 - as above
    """Return a scalar's text, or None."""
    if event.implicit[0]:
        return None if event.value in _NULLS else _Plain(event.value)
    return str(event.value) if event.tag in (None, f"{_TAG}str") else _Tagged(event.value)


def _read_top(events: _Events) -> dict[str, Value]:
    """Return the members of the document's mapping, the last of equal keys."""
    first = events.next()
    if not isinstance(first, yaml.MappingStartEvent):
        raise _refused("it holds no mapping of keys to values")
    values: dict[str, Value] = {}
    while not isinstance(event := events.next(), yaml.MappingEndEvent):
        key, value = events.value(event, 1), events.value(events.next(), 1)
        if isinstance(key, str):
            values.pop(key, None)
            values[key] = value
    return values


# ---- values ---------------------------------------------------------------------------------------------------------


def _places(key: str, value: Value) -> list[str]:
    """Return what a split names: one text, or a list of texts."""
    if value is None or (isinstance(value, str) and _NO_PLACE.fullmatch(value)):
        return []
    items = value if isinstance(value, list) else [value]
    places = []
    for item in items:
        if not isinstance(item, str):
            raise _refused(f"'{key}' is neither a folder or text file nor a list of them")
        if item:
            places.append(_printable(key, item))
    return places


def _class_names(values: Mapping[str, Value]) -> tuple[str, ...] | None:
    count = _class_count(values.get("nc"))
    value = values.get("names")
    if value is None:
        return None if count is None else placeholder_names(count)
    names = _in_order_of_id(value) if isinstance(value, dict) else _listed_names(value)
    if not names:
        raise _refused("'names' is empty")
    if len(names) > CLASS_COUNT_LIMIT:
        raise _refused(f"'names' has {len(names):,} classes, more than {CLASS_COUNT_LIMIT:,}")
    if count is not None and count != len(names):
        raise _refused(f"'nc' is {count}, but 'names' has {len(names)}", "Correct the one that is wrong.")
    return tuple(_printable("names", name) for name in names)


def _listed_names(value: Value) -> list[str]:
    names = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(names) < len(value):
        raise _refused("'names' is neither a list of names nor a mapping of ids to names")
    return names


def _in_order_of_id(value: Mapping[str, Value]) -> list[str]:
    by_id = {_whole(key): name for key, name in value.items() if isinstance(name, str)}
    if len(by_id) < len(value) or set(by_id) != set(range(len(by_id))):
        raise _refused("the ids of 'names' do not run from 0 without a gap, each with a name")
    return [by_id[index] for index in range(len(by_id))]


def _class_count(value: Value) -> int | None:
    if value is None:
        return None
    count = _whole(value) if isinstance(value, str) else None
    if count is None or not 0 < count <= CLASS_COUNT_LIMIT:
        raise _refused(f"'nc' is not a whole number from 1 to {CLASS_COUNT_LIMIT:,}")
    return count


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


# ---- what is carried over -------------------------------------------------------------------------------------------

_RESOLVER: Final[Any] = yaml.resolver.Resolver()
_CONSTRUCTOR: Final[Any] = yaml.constructor.SafeConstructor()
_NUMBERS: Final = frozenset((f"{_TAG}int", f"{_TAG}float"))
_WHOLE: Final = re.compile("0|[1-9][0-9]{0,8}")
_DOWNLOAD: Final = "it fetches the dataset as it was before, with another split"


class _NotCarriedError(Exception):
    """Why a value is not carried over."""


def _carried(values: Mapping[str, Value]) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Return the keys that name no data as JSON values, and those that are left out, with the reason."""
    carrier = _Carrier()
    keys: dict[str, Any] = {}
    left_out: list[tuple[str, str]] = []
    for key, value in values.items():
        if (key in DATA_KEYS and key != "download") or value is None:
            continue
        try:
            keys[carrier.name(key)] = carrier.value(value, 1)
        except _NotCarriedError as error:
            left_out.append((ascii(key[:40])[1:-1], str(error)))
    return keys, tuple(left_out)


class _Carrier:
    """Converts YAML values into JSON values, up to a limit: with aliases, a short text can have very many values."""

    def __init__(self) -> None:
        self._parts = self._letters = 0

    def name(self, key: str) -> str:
        """Return a key of the yaml itself."""
        if key == "download":
            raise _NotCarriedError(_DOWNLOAD)
        if len(key) > _KEY_LIMIT or text_fault(key) is not None or not isinstance(self._typed(key), str):
            raise _NotCarriedError("its name is not a short text")
        return str(key)

    def value(self, value: Value, depth: int) -> Any:  # noqa: ANN401 - JSON
        """Return one value. Raises _NotCarriedError."""
        self._parts += 1
        if self._parts > _PARTS_LIMIT or depth > YAML_DEPTH:
            raise _NotCarriedError("it is too large, or nested too deep")
        if isinstance(value, list):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {self._key(key): self.value(item, depth + 1) for key, item in value.items()}
        if value is None:
            return None
        if not isinstance(value, str) or isinstance(value, _Tagged):
            raise _NotCarriedError("it has a tag, or a key that is not a text")
        return self._typed(value)

    def _key(self, key: str) -> str:
        """Return the key of an inner mapping, a text or a whole number; JSON stores both as texts."""
        typed = self._typed(key)
        whole = _WHOLE.fullmatch(key) is not None
        plain = type(typed) is int if whole else isinstance(typed, str)
        if not plain or key == "<<" or text_fault(key) is not None:
            raise _NotCarriedError("it has a key that is neither a text nor a whole number")
        return str(key)

    def _typed(self, text: str) -> Any:  # noqa: ANN401 - as above
        """Return a scalar with the type that YAML gives it."""
        self._letters += len(text)
        if self._letters > _TEXT_LIMIT:
            raise _NotCarriedError("it is too long")
        if has_control(text):
            raise _NotCarriedError("it holds a control character")
        tag = _RESOLVER.resolve(yaml.ScalarNode, str(text), (True, False)) if isinstance(text, _Plain) else ""
        if tag == f"{_TAG}bool":
            return _CONSTRUCTOR.construct_yaml_bool(yaml.ScalarNode(tag, str(text)))
        return _number_of(text, tag) if tag in _NUMBERS else str(text)


def _number_of(text: str, tag: str) -> float:
    node = yaml.ScalarNode(tag, str(text))
    try:
        number: float = (
            _CONSTRUCTOR.construct_yaml_int(node) if tag.endswith("int") else _CONSTRUCTOR.construct_yaml_float(node)
        )
    except ValueError as error:
        raise _NotCarriedError("it holds a number that cannot be read") from error
    if not -(2**63) <= number < 2**63:  # also infinity and NaN
        raise _NotCarriedError("it holds a number that is too large")
    return number


def _printable(key: str, text: str) -> str:
    """Return the text unless it holds what no path and no class name may hold."""
    if text_fault(text) is not None:
        raise _refused(f"'{key}' holds a control character: {text!a}")
    return text


def _refused(reason: str, hint: str = "Give the dataset's own yaml, or repair it.") -> InputError:
    return InputError(f"The dataset's yaml is refused: {reason}.", kind="dataset-yaml", hint=hint)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
