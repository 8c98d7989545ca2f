"""What to do after an audit that failed: one sentence and, where there is one, the command with its arguments."""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance.dataset_files import PLAN
from planbalance.model import Audit
from planbalance.render.repair import can_repair
from planbalance.text import command_line

_DIVIDED: Final = frozenset(("volume-overlap", "group-overlap", "duplicate-content"))
_RELOCATE: Final = "planbalance relocate "  # in the note of links of which no file is there
_PICTURES: Final = frozenset(("duplicate-pixels", "near-duplicates"))


class NextStep(NamedTuple):
    """What to do next; `command` is "" where no single command does it."""

    text: str
    command: str = ""


def next_step(audit: Audit, dataset: str, reading: Sequence[str] = ()) -> NextStep | None:
    """Return what to do about what an audit found; None where it found no error.

    Args:
        audit: of the dataset.
        dataset: as the user named it: a folder, a yaml or one file.
        reading: the options that say how names are read and which volumes are one patient: the command needs them too.
    """
    if audit.ok:
        return None
    if can_repair(audit):
        text = "To plan it without these leaks (test stays, and the fewest slices are moved or left out):"
        return NextStep(text, repair_command(dataset, reading))
    failed = frozenset(check.name for check in audit.checks if check.ok is False)
    if failed & _DIVIDED:
        words = ["plan", dataset, "--output", _beside(dataset, "-balanced"), *reading]
        words += ["--hash-images"] if "duplicate-content" in failed else []
        return NextStep("To divide its slices anew, whole volumes at a time:", command_line(words))
    return _other_step(audit, failed, dataset)


def _other_step(audit: Audit, failed: frozenset[str], dataset: str) -> NextStep:
    """Return what to do where no volume, patient or identical image is in two splits."""
    if failed & _PICTURES:
        text = (
            "Look at the pairs. If they are of one patient, plan the dataset with --group-from identical,look-alikes. "
            "To see them side by side:"
        )
        return NextStep(text, command_line(["report", dataset, "--near-duplicates", "--html", "look-alikes.html"]))
    if any(name.startswith("against ") for name in failed):
        return NextStep(
            "Do not measure a model of one dataset on what it shares with the other: leave these volumes out with "
            "--exclude, or plan both datasets with the same --split-seed or --split-map."
        )
    moved = next((check.reason for check in audit.checks if _RELOCATE in check.reason), "")
    if moved:
        text = "If the files that links lead to were moved, say where they are now, in place of NEW:"
        return NextStep(text, moved[moved.index(_RELOCATE) :])
    if audit.plan_digest and os.path.isdir(dataset):
        words = ["apply", f"{dataset.rstrip('/')}/{PLAN}", "--output", _beside(dataset, "-again")]
        return NextStep("To build it again from its plan, beside this one:", command_line(words))
    return NextStep("Correct what is listed above, and run this command again.")


def repair_command(dataset: str, reading: Sequence[str] = ()) -> str:
    """Return the command that plans the repair of a dataset."""
    return command_line(["repair", dataset, "--output", _beside(dataset, "-repaired"), *reading])


def _beside(dataset: str, ending: str) -> str:
    """Return the name of a folder beside a dataset, or beside the folder of its yaml."""
    folder = dataset if os.path.isdir(dataset) else os.path.dirname(dataset) or "."
    if os.path.basename(folder.rstrip("/")) in {"", ".", ".."}:
        folder = os.path.abspath(folder)
    return f"{folder.rstrip('/')}{ending}"
