"""How the images of a source are read, as the plan stores it; of an untrusted plan, every value is checked."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final, cast

from planbalance.errors import PlanError, UsageError
from planbalance.raw_images import ImageOptions, check_options

_TEXTS: Final = ("volume_pattern", "window", "h5_dataset")
_NUMBERS: Final = ("axis", "time", "stored_zero")


def image_options_json(options: ImageOptions) -> dict[str, Any]:
    """Return how images are read, as JSON values of a plan."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(options).items()}


def image_options_of(source: Mapping[str, Any]) -> ImageOptions:
    """Return how the images of a source of a plan are read.

    Raises:
        PlanError: the plan does not say it, or names what there is not (kind `plan-schema`).
    """
    found = source.get("image_options")
    names = {each.name for each in fields(ImageOptions)}
    if not isinstance(found, dict) or set(found) != names or not _are_typed(found):
        raise _refused("its image options are not those of an import")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    options = ImageOptions(**cast("dict[str, Any]", values))
    try:
        check_options(options)
    except UsageError as error:
        raise _refused(error.message) from None
    return options


def _are_typed(found: Mapping[str, object]) -> bool:
    lists = [found["kinds"], found["flip"]]
    return (
        all(isinstance(found[name], str) for name in _TEXTS)
        and all(found[name] is None or type(found[name]) is int for name in _NUMBERS)
        and type(found["transpose"]) is bool
        and all(isinstance(one, list) and all(isinstance(each, str) for each in one) for one in lists)
    )


def _refused(why: str) -> PlanError:
    return PlanError(
        f"The plan does not keep to its schema: {why}",
        kind="plan-schema",
        hint="Make it again with `planbalance import`.",
    )
