"""What `apply` says: what was placed where, how fast, and the commands that train on it."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType

from planbalance.model import Outcome
from planbalance.report.table import count, heading, item, line, prose, size


def apply_document(outcome: Outcome) -> dict[str, Any]:
    """Return what an apply did, with the contract's keys."""
    return {
        "output": outcome.output,
        "mode": outcome.mode,
        "files": outcome.files,
        "bytes": outcome.bytes,
        "seconds": round(outcome.seconds, 3),
        "resumed": outcome.resumed,
        "published": outcome.published,
        "train_commands": dict(outcome.train_commands),
        "warnings": list(outcome.warnings),
    }


def apply_text(document: Mapping[str, Any], *, dry_run: bool = False, next_step: bool = True) -> RenderableType:
    """Return it for a person, ending with the training commands."""
    if dry_run:
        return Group(*_dry(document), *warnings_text(document["warnings"]))
    return Group(*_done(document), *warnings_text(document["warnings"]), *_next(document, with_verify=next_step))


def _dry(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    yield prose("Dry run: nothing was written; the plan is not stale, and there is room and permission.")
    yield line(f"{count(document['files'])} files would be placed ({document['mode']}) in")
    yield line("  ", document["output"])


def _done(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    if not document["published"]:
        yield prose(
            "This part is done. Nothing is published until all parts are, and `--finish` has put them together."
        )
    else:
        yield line(("Built ", "bold green"), document["output"])
    copied = f", {size(document['bytes'])} copied" if document["bytes"] else ""
    again = f", {count(document['resumed'])} of them by an earlier run" if document["resumed"] else ""
    rate = document["files"] / document["seconds"] if document["seconds"] else 0
    speed = f" ({count(round(rate))}/s)" if rate and not document["resumed"] else ""
    yield prose(
        f"  {count(document['files'])} files ({document['mode']}){copied} in {document['seconds']:.1f} s{speed}{again}"
    )


def warnings_text(warnings: Iterable[str]) -> Iterable[RenderableType]:
    """Yield the warnings under their heading, nothing where there are none."""
    listed = list(warnings)
    if listed:
        yield heading("Warnings")
        yield from (item("!", warning, style="yellow") for warning in listed)


def _next(document: Mapping[str, Any], *, with_verify: bool) -> Iterable[RenderableType]:
    if with_verify and document["published"]:
        yield heading("Verify")
        yield line(f"planbalance verify {shlex.quote(document['output'])}")
    if not document["published"]:
        return
    for name, title in (("yolov5", "Train with YOLOv5"), ("ultralytics", "Train with Ultralytics")):
        command = document["train_commands"].get(name)
        if command:
            yield heading(title)
            yield line(command)
