"""The shapes of MD.ai annotations (their documentation calls them `data`) as boxes."""

from decimal import Decimal
from typing import Any

from planbalance.annotations.drafts import (
    NoGeometryError,
    UnreadableError,
    box_of_corners,
    box_of_size,
    hull_of,
    number_of,
    pairs_of,
    shown,
)
from planbalance.import_model import Box


def box_of_shape(data: object) -> Box:
    """Return the box of a shape: its own, else the smallest box around it.

    Shapes are bbox {x, y, width, height}, ellipse {cx, cy, rx, ry}, polygon, freeform and line {vertices}, mask
    {foreground, background} and location {x, y}. The background of a mask is a hole in it.

    Raises:
        UnreadableError: it is no such shape, or a coordinate is no number.
        NoGeometryError: it is nothing, or a location, which has no size.
    """
    match data:
        case None | {} if not data:
            raise NoGeometryError("it has no shape")
        case {"x": x, "y": y, "width": width, "height": height}:
            return box_of_size(*_numbers(x=x, y=y, width=width, height=height))
        case {"cx": x, "cy": y, "rx": wide, "ry": high}:
            return _ellipse(*_numbers(cx=x, cy=y, rx=wide, ry=high))
        case {"vertices": vertices}:
            return hull_of(pairs_of(vertices, "vertices"))
        case {"foreground": foreground}:
            return _mask(foreground)
        case {"x": _, "y": _}:
            raise NoGeometryError("it is a location without a size")
    raise UnreadableError(f"its shape is unknown: {_keys(data)}")


def is_line(annotation_mode: object) -> bool:
    """Return whether a label is drawn as a line, so that its box is only as wide as this line."""
    return annotation_mode == "line"


def _numbers(**values: object) -> list[Decimal]:
    return [number_of(value, name) for name, value in values.items()]


def _ellipse(x: Decimal, y: Decimal, wide: Decimal, high: Decimal) -> Box:
    return box_of_corners(x - wide, y - high, x + wide, y + high)


def _mask(foreground: Any) -> Box:  # noqa: ANN401 - a value of JSON
    if not isinstance(foreground, list):
        raise UnreadableError("foreground is no list of polygons")
    return hull_of(point for polygon in foreground for point in pairs_of(polygon, "foreground"))


def _keys(data: object) -> str:
    return shown(", ".join(map(str, data))) if isinstance(data, dict) else shown(data)
