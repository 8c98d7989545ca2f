"""The sources of an import: what the command line or a TOML file asks for, resolved, with their files read."""

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple, cast, get_args

from planbalance import fs
from planbalance.annotations import (
    COLUMN_NAMES,
    FORMATS,
    Format,
    FormatOptions,
    JoinOptions,
    SourceFile,
    review_lines,
)
from planbalance.errors import InputError, UsageError
from planbalance.options.declare import spelled
from planbalance.options.importing import FORMAT_NAMES, SOURCE_KEYS, ImportRequest, SourceChoices
from planbalance.raw_images import ImageOptions, check_options
from planbalance.text import error_text

FILE_BYTES: Final = 1 << 30
_MOST_FILES: Final = 2_000_000
_TOML_BYTES: Final = 4 << 20
_NAME: Final = re.compile(r"\w[\w.+-]{0,63}")
_REVIEWED_WORDS: Final = ("auto", "volume", "slice", "all")


class ReadSource(NamedTuple):
    """One source with its files in memory.

    Attributes:
        name: "" where there is only one, which has no name.
        prefix: put before the names of its volumes.
        format: of its annotations.
        files: the annotation files, sorted.
        sums: of everything that was read beside the images.
        root: the image folder, absolute.
        read: how its annotations are read.
        images: how its images are read.
        join: which annotations count.
    """

    name: str
    prefix: str
    format: Format
    files: tuple[SourceFile, ...]
    sums: tuple["AnnotationSum", ...]
    root: str
    read: FormatOptions
    images: ImageOptions
    join: JoinOptions


class Asked(NamedTuple):
    """What is asked for, before any file is read.

    Attributes:
        sources: name, prefix and choices of each source.
        classes: names of classes in the order of their ids; none: not said.
        mapping: pairs of a label and its class.
    """

    sources: tuple[tuple[str, str, SourceChoices], ...]
    classes: tuple[str, ...]
    mapping: tuple[tuple[str, str], ...]


def asked_sources(request: ImportRequest) -> Asked:
    """Return the sources that a request names: those of `--sources`, or the one of the command line.

    Raises:
        UsageError: an option is missing, or given beside `--sources` (kind `usage`).
        InputError: the TOML file cannot be read, or has what there is not (kind `bad-sources`).
    """
    classes, mapping = words_of(request.classes), tuple(request.map)
    if request.sources is None:
        for name in ("format", "annotations", "images"):
            if getattr(request, name) is None:
                raise UsageError(
                    f"{spelled(name)} is missing.",
                    kind="usage",
                    hint="An import needs --format, --annotations and --images, or --sources FILE.toml.",
                )
        choices = SourceChoices(**{name: getattr(request, name) for name in SOURCE_KEYS})
        return Asked((("", "", choices),), classes, mapping)
    for each in fields(SourceChoices):
        if getattr(request, each.name) != each.default:
            raise UsageError(
                f"{spelled(each.name)} does not go with --sources: each source says it for itself.",
                kind="usage",
                hint=f"Write {each.name.replace('_', '-')} into a table [[source]] of {request.sources}.",
            )
    return _from_toml(request.sources, classes, mapping)


def words_of(text: str | None) -> tuple[str, ...]:
    """Return the words of a text with commas between; blanks at the ends are removed."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


# ---- the TOML file --------------------------------------------------------------------------------------------------


def _from_toml(path: str, classes: tuple[str, ...], mapping: tuple[tuple[str, str], ...]) -> Asked:
    data = _read_file(path, _TOML_BYTES)
    try:
        found = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _bad_toml(path, f"is not TOML ({error})") from None
    unknown = sorted(set(found) - {"source", "classes", "map"})
    if unknown:
        raise _bad_toml(path, f"has {unknown[0]!r}, and may have classes, [map] and [[source]] only")
    tables = found.get("source")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise _bad_toml(path, "has no table [[source]]")
    sources = tuple(_table(path, table, number) for number, table in enumerate(tables, 1))
    names = [name for name, _, _ in sources]
    if len(set(names)) != len(names):
        raise _bad_toml(path, "has two sources of one name")
    return Asked(sources, classes or _classes(path, found), mapping or _mapping(path, found))


def _classes(path: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    classes = found.get("classes", [])
    if isinstance(classes, str):
        return words_of(classes)
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise _bad_toml(path, "does not have names in classes")
    return tuple(each.strip() for each in classes)


def _mapping(path: str, found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    mapping = found.get("map", {})
    if not isinstance(mapping, dict) or not all(isinstance(each, str) for each in mapping.values()):
        raise _bad_toml(path, "does not have label = class in [map]")
    return tuple(mapping.items())


def _table(path: str, table: Mapping[str, Any], number: int) -> tuple[str, str, SourceChoices]:
    """Return name, prefix and choices of one source."""
    values = {key.replace("-", "_"): value for key, value in table.items()}
    name, prefix = values.pop("name", f"source{number}"), values.pop("prefix", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _bad_toml(path, f"names source {number} {name!r}, and names are of letters, digits and . _ + -")
    if not isinstance(prefix, str) or (prefix and not _NAME.fullmatch(prefix)):
        raise _bad_toml(path, f"has a prefix in source {name} that is not of letters, digits and . _ + -")
    for key in values:
        if key not in SOURCE_KEYS:
            close = get_close_matches(key, SOURCE_KEYS, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"A source may have {', '.join(SOURCE_KEYS)}."
            raise _bad_toml(path, f"has an unknown key {key!r} in source {name}", hint)
    for key in ("format", "annotations", "images"):
        if key not in values:
            raise _bad_toml(path, f"has no {key} in source {name}")
    return name, prefix, _choices_of(path, name, values)


def _choices_of(path: str, name: str, values: Mapping[str, Any]) -> SourceChoices:
    """Return the options of one source; its paths count from the folder of the TOML file."""
    choices = {}
    for field in fields(SourceChoices):
        if field.name in values:
            choices[field.name] = _typed(path, f"{field.name} of source {name}", values[field.name], field)
    folder = os.path.dirname(os.path.abspath(path))
    for key in ("annotations", "images", "key", "reviewed"):
        if choices.get(key) is not None and (key != "reviewed" or choices[key] not in _REVIEWED_WORDS):
            choices[key] = os.path.join(folder, choices[key])
    return SourceChoices(**choices)


def _typed(path: str, what: str, value: Any, field: Any) -> Any:  # noqa: ANN401 - a value of TOML, and a field
    """Return a value of TOML as the option takes it."""
    words = [word for kind in get_args(field.type) or (field.type,) for word in get_args(kind) or ()]
    literal = [word for word in (*words, *get_args(field.type)) if isinstance(word, str)]
    if field.default == ():
        several = [value] if isinstance(value, str) else value
        if not isinstance(several, list) or not all(isinstance(each, str) for each in several):
            raise _bad_toml(path, f"has no text or list of texts as {what}")
        return tuple(several)
    if field.default is False:
        if type(value) is not bool:
            raise _bad_toml(path, f"has neither true nor false as {what}")
        return value
    if field.name == "columns" and isinstance(value, dict):
        return ",".join(f"{name}={column}" for name, column in value.items())
    if field.metadata["most"] is not None:
        if type(value) is not int or not 0 <= value <= field.metadata["most"]:
            raise _bad_toml(path, f"has no number from 0 to {field.metadata['most']} as {what}")
        return value
    if not isinstance(value, str) or (literal and field.name != "reviewed" and value not in literal):
        shown = f"'{value}'" if isinstance(value, str) else "no text"
        raise _bad_toml(path, f"has {shown} as {what}" + (f": it is one of {', '.join(literal)}" if literal else ""))
    return value


def _bad_toml(path: str, fault: str, hint: str = "") -> InputError:
    return InputError(f"{path} {fault}.", kind="bad-sources", hint=hint, paths=[path])


# ---- files ----------------------------------------------------------------------------------------------------------


def read_source(name: str, prefix: str, choices: SourceChoices, finding: str, *, keep: bool) -> ReadSource:
    """Return a source with its annotation files in memory.

    Args:
        name: "" where it is the only one.
        prefix: put before the names of its volumes.
        choices: what is asked of it.
        finding: the name of the only finding of a format that knows one.
        keep: every file is taken as it is (`--render keep`).

    Raises:
        UsageError: options contradict each other (kind `usage`), or as `check_options` does.
        InputError: a file is not there or cannot be read (kinds `input-not-found`, `unreadable`).
    """
    assert choices.format is not None
    assert choices.annotations is not None
    assert choices.images is not None
    if choices.format not in FORMATS:
        raise UsageError(f"--format {choices.format} is none of {', '.join(FORMAT_NAMES)}.", kind="usage")
    of_format = FORMATS[choices.format]
    _refuse_options(of_format, choices)
    root = os.path.abspath(choices.images)
    if not os.path.isdir(root):
        raise _no_folder(root, choices.annotations)
    images = _image_options(of_format, choices, keep=keep)
    files = _annotation_files(of_format, choices.annotations)
    extra = dict(_beside(of_format, choices))
    options = FormatOptions(
        finding=finding,
        key=extra.get("key"),
        file_list=extra.get("file_list"),
        frame_base=choices.frame_base,
        slice_base=choices.slice_base,
        origin=choices.origin,
        box=choices.box,
        columns=_columns(choices.columns),
    )
    join, reviewed = _join_options(choices)
    beside = [annotation_sum(each.name, "", {each.name: each.data}) for each in (*extra.values(), *reviewed)]
    if of_format.takes == "file":
        first = annotation_sum(choices.annotations, "", {choices.annotations: files[0].data})
    else:
        first = annotation_sum(choices.annotations, of_format.suffix, {each.name: each.data for each in files})
    return ReadSource(name, prefix, of_format, files, (first, *beside), root, options, images, join)


def _no_folder(root: str, annotations: str) -> InputError:
    """Return the refusal of an image folder that is none."""
    if not os.path.lexists(root):
        fault, hint = f"The folder of images {root} does not exist.", ""
    else:
        fault, hint = f"The images {root} are no folder.", "Name the folder that holds the images with --images."
        if os.path.isdir(annotations):
            hint = "Perhaps the values of --annotations and --images are exchanged."
    return InputError(fault, kind="input-not-found", hint=hint, paths=[root])


class AnnotationSum(NamedTuple):
    """An annotation file, or a folder of them, as the plan names it.

    Attributes:
        path: absolute.
        bytes: of all files.
        sha256: hex, of the file; of a folder, of one line `SUM  NAME` for each of its files, sorted by name.
        suffix: of the files of a folder; "" for a file.
    """

    path: str
    bytes: int
    sha256: str
    suffix: str


def annotation_sum(path: str, suffix: str, read: Mapping[str, bytes] | None = None) -> AnnotationSum:
    """Return the sum of an annotation file, or of the files of a folder that end in `suffix`.

    `read`: their bytes by name, where they were read already. Raises InputError where one cannot be read.
    """
    at = os.path.abspath(path)
    if not suffix:
        data = _read_file(path, FILE_BYTES) if read is None else next(iter(read.values()))
        return AnnotationSum(at, len(data), hashlib.sha256(data).hexdigest(), "")
    names = sorted(_names_below(path, suffix)) if read is None else sorted(read)
    digest, size = hashlib.sha256(), 0
    for name in names:
        data = _read_file(os.path.join(path, name), FILE_BYTES) if read is None else read[name]
        digest.update(f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode(errors="surrogateescape"))
        size += len(data)
    return AnnotationSum(at, size, digest.hexdigest(), suffix)


def _refuse_options(of_format: Format, choices: SourceChoices) -> None:
    """Refuse options that mean nothing for this format: they would be ignored without a word."""
    known = {*of_format.needs, *of_format.takes_also}
    asked: dict[str, object] = {"--key": choices.key, "--columns": choices.columns, "--box": choices.box}
    asked |= {"--origin": choices.origin, "--slice-base": choices.slice_base, "--frame-base": choices.frame_base}
    for flag, value in asked.items():
        if value is not None and flag not in known:
            raise UsageError(f"{flag} means nothing for --format {of_format.name}.", kind="usage", hint="Leave it out.")
    if choices.readers is not None and (choices.reader or choices.label_group):
        raise UsageError("--readers all excludes --reader and --label-group.", kind="usage")


def _image_options(of_format: Format, choices: SourceChoices, *, keep: bool) -> ImageOptions:
    flip = tuple(choices.flip)
    if of_format.flips_up_down:
        if keep:
            raise UsageError(
                f"--render keep does not go with --format {of_format.name}: its boxes refer to pictures that are "
                "turned upside down.",
                kind="usage",
            )
        flip = tuple(dict.fromkeys((*flip, "up-down")))
    options = ImageOptions(
        volume_pattern=choices.volume_pattern or "auto",
        window=choices.window,
        h5_dataset=choices.h5_dataset,
        axis=choices.axis,
        time=choices.time,
        transpose=choices.transpose,
        flip=flip,
        stored_zero=of_format.zero_value or None,
    )
    check_options(options)
    return options


def _columns(text: str | None) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in (text or "").split(",") if pair]
    columns = {name.strip(): column.strip() for name, equals, column in pairs if equals and column.strip()}
    if len(columns) != len(pairs) or not set(columns) <= set(COLUMN_NAMES):
        raise UsageError(
            f"--columns {text} is not NAME=COLUMN,...", kind="usage", hint=f"Names are {', '.join(COLUMN_NAMES)}."
        )
    return columns


def _join_options(choices: SourceChoices) -> tuple[JoinOptions, tuple[SourceFile, ...]]:
    """Return which annotations count, and the file of reviewed images, if one is named."""
    options = JoinOptions(
        readers=tuple(choices.reader),
        label_groups=tuple(choices.label_group),
        all_readers=choices.readers == "all",
        doubtful=choices.doubtful,
    )
    word = choices.reviewed
    if word in _REVIEWED_WORDS:
        return replace(options, reviewed=cast("Literal['auto', 'volume', 'slice', 'all']", word)), ()
    if not os.path.lexists(word):
        raise InputError(
            f"--reviewed {word} is none of {', '.join(_REVIEWED_WORDS)}, and there is no such file.",
            kind="input-not-found",
            hint="A file names one reviewed volume or image on each line.",
            paths=[word],
        )
    file = SourceFile(word, _read_file(word, FILE_BYTES))
    return replace(options, reviewed=review_lines(file.data, file.name)), (file,)


def _annotation_files(of_format: Format, path: str) -> tuple[SourceFile, ...]:
    if of_format.takes == "file":
        return (SourceFile(path, _read_file(path, FILE_BYTES)),)
    if not os.path.isdir(path):
        raise InputError(
            f"The annotations of --format {of_format.name} are a folder, and {path} is none.",
            kind="input-not-found",
            hint=f"Name the folder with the {of_format.suffix} files.",
            paths=[path],
        )
    names = sorted(_names_below(path, of_format.suffix))
    if not names:
        raise InputError(f"There is no {of_format.suffix} file in {path}.", kind="input-not-found", paths=[path])
    return tuple(SourceFile(name, _read_file(os.path.join(path, name), FILE_BYTES)) for name in names)


def _names_below(root: str, suffix: str) -> Iterable[str]:
    count = 0
    for folder, _, names in os.walk(root):
        below = os.path.relpath(folder, root)
        for name in names:
            if name.lower().endswith(suffix):
                count += 1
                if count > _MOST_FILES:
                    raise InputError(f"{root} holds more than {_MOST_FILES:,} files.", kind="too-many-files")
                yield name if below == "." else f"{below}/{name}"


def _beside(of_format: Format, choices: SourceChoices) -> Iterable[tuple[str, SourceFile]]:
    """Yield the key that the user names, and the list of reviewed files that lies beside the annotations."""
    if choices.key is not None:
        yield "key", SourceFile(choices.key, _read_file(choices.key, FILE_BYTES))
    if of_format.list_beside and choices.annotations is not None:
        path = os.path.splitext(choices.annotations)[0] + of_format.list_beside
        if os.path.lexists(path):
            yield "file_list", SourceFile(path, _read_file(path, FILE_BYTES))


def _read_file(path: str, limit: int) -> bytes:
    """Return the bytes of a regular file that is not too large. Raises InputError."""
    try:
        if not os.path.isfile(path):
            raise InputError(
                f"The file {path} does not exist." if not os.path.lexists(path) else f"{path} is no file.",
                kind="input-not-found",
                paths=[path],
            )
        size = os.path.getsize(path)
        if size > limit:
            raise InputError(
                f"{path} has {size:,} bytes, and {limit:,} are read at most.", kind="too-large", paths=[path]
            )
        return fs.read_path(path, size)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error_text(error)}.", kind="unreadable", paths=[path]) from None
