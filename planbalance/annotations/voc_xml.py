"""The elements of a small XML file that may not be trusted: no document type, no entities, bounded depth and size."""

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from planbalance.annotations.nearest_format import other_format
from planbalance.annotations.source import SourceFile, refused

_SIZE_LIMIT: Final = 16 * 1024 * 1024  # bytes
_ELEMENT_LIMIT: Final = 500_000
_DEPTH_LIMIT: Final = 30
_ROOT: Final = "annotation"


@dataclass(slots=True)
class Element:
    """An element with its own text and its children."""

    name: str
    texts: list[str] = field(default_factory=list)
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> list["Element"]:
        """Return its direct children of a name."""
        return [child for child in self.children if child.name == name]

    def first(self, name: str) -> "Element | None":
        """Return its first direct child of a name."""
        return next((child for child in self.children if child.name == name), None)

    def text(self, name: str) -> str:
        """Return the text of its first direct child of a name, without blanks at its ends; "" where it has none."""
        child = self.first(name)
        return "" if child is None else "".join(child.texts).strip()


class _RefusedError(Exception):
    """Why a file is not read."""


def parse_voc(file: SourceFile) -> Element:
    """Return the element `annotation` of a file.

    Raises:
        InputError: it is no XML with this root (kind `other-format`), or it has a document type or entities, or is too
            large or too deep (kind `bad-annotations`).
    """
    if len(file.data) > _SIZE_LIMIT:
        raise refused(file.name, f"has {len(file.data):,} bytes, more than {_SIZE_LIMIT:,}")
    tree = _Tree()
    try:
        _parser(tree).Parse(file.data, True)  # noqa: FBT003 - expat takes no keyword: this is all of the file
    except _RefusedError as error:
        raise refused(file.name, str(error)) from None
    except (expat.ExpatError, ValueError, LookupError) as error:  # an encoding that is unknown, or of several bytes
        raise other_format(file.name, file.data, "voc", f"it is not XML: {str(error)[:100]}") from None
    if tree.root is None or tree.root.name != _ROOT:
        raise other_format(file.name, file.data, "voc", f"its first element is not <{_ROOT}>")
    return tree.root


def _parser(tree: "_Tree") -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.characters
    parser.StartDoctypeDeclHandler = tree.refuse_doctype
    parser.EntityDeclHandler = tree.refuse_doctype
    return parser


class _Tree:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        element = Element(name)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._count += 1
        if self._count > _ELEMENT_LIMIT:
            raise _RefusedError(f"has more than {_ELEMENT_LIMIT:,} elements")
        if len(self._open) > _DEPTH_LIMIT:
            raise _RefusedError(f"is nested more than {_DEPTH_LIMIT} deep")

    def end(self, _: str) -> None:
        self._open.pop()

    def characters(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def refuse_doctype(self, *_: object) -> None:
        raise _RefusedError("has a document type, which may define entities")
