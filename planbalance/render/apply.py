"""What `apply` prints: files placed, warnings, commands that come next; and `slurm`, whose files run it on nodes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from planbalance.dataset_files import PLAN
from planbalance.model import Outcome
from planbalance.render.table import Group, Renderable, count, heading, item, line, prose, size
from planbalance.text import command_line, counted, named_texts


def apply_document(outcome: Outcome) -> dict[str, Any]:
    """Return what an apply did, with the keys of docs/reference/json.md."""
    return {
        "output": outcome.output,
        "mode": outcome.mode,
        "files": outcome.files,
        "bytes": outcome.bytes,
        "seconds": round(outcome.seconds, 3),
        "resumed": outcome.resumed,
        "published": outcome.published,
        "packed_bytes": outcome.packed_size,
        "packed_bytes_about": outcome.packed_about,
        "train_commands": dict(outcome.train_commands),
        "warnings": list(outcome.warnings),
        "next_command": outcome.next_command or None,
    }


def apply_text(document: Mapping[str, Any], *, dry_run: bool = False, verbose: bool = False) -> Renderable:
    """Return it for a person, ending with the commands that come next; `verbose`: those that train too."""
    if dry_run:
        return Group(*_dry(document), *warnings_text(document["warnings"]))
    return Group(done_text(document), *_next(document, verbose=verbose))


def several_text(
    documents: Sequence[Mapping[str, Any]], audits: Sequence[str], *, dry_run: bool = False, verbose: bool = False
) -> Renderable:
    """Return what was done with several plans (folds) for a person: each warning once.

    Args:
        documents: what each apply did.
        audits: the commands that audit what was published.
        dry_run: nothing was written.
        verbose: with the commands that train on each of them.
    """
    each = ((_dry if dry_run else _done)(document) for document in documents)
    warnings = named_texts([(document["output"], document["warnings"]) for document in documents])
    published = [document for document in documents if document["published"]]
    after: list[Renderable] = []
    if published:
        after = [heading("Next"), *(line("  ", audit) for audit in audits)]
        after += [line("  ", one["next_command"]) for one in published if one.get("next_command")]
        after += [train_text(one, verbose=verbose) for one in (published if verbose else published[:1])]
    return Group(*(Group(*parts) for parts in each), *warnings_text(warnings.values()), *after)


def done_text(document: Mapping[str, Any]) -> Renderable:
    """Return what was done, without what comes next."""
    return Group(*_done(document), *warnings_text(document["warnings"]))


def train_text(document: Mapping[str, Any], *, verbose: bool) -> Renderable:
    """Return how to get the training commands of a dataset that is published, or with `verbose` the commands."""
    return Group(*_train(document, verbose=verbose))


def _dry(document: Mapping[str, Any]) -> Iterable[Renderable]:
    yield prose(
        "Dry run: nothing was written; the plan is not stale, there is permission, and there is room, by an estimate "
        "that does not include quotas."
    )
    content = f", {size(document['bytes'])} copied" if document["bytes"] else ""
    yield prose(f"The dataset would be built ({document['mode']}): {counted(document['files'], 'file')}{content}, in")
    yield line("  ", document["output"])
    if document.get("packed_bytes"):
        yield prose(f"  one file of {size(document['packed_bytes'])} (exactly {document['packed_bytes']:,} bytes)")
    if document.get("packed_bytes_about"):
        yield prose(
            f"  one file of about {size(document['packed_bytes_about'])}: its exact size is known once its slices are "
            "rendered. If they are grey, it is not larger."
        )


def _done(document: Mapping[str, Any]) -> Iterable[Renderable]:
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
    if document.get("packed_bytes") and document["published"]:
        yield prose(f"  one file of {size(document['packed_bytes'])} ({document['packed_bytes']:,} bytes)")
    files = f"{counted(document['files'], 'file')} ({document['mode']})"
    yield prose(f"  {files}{copied} in {document['seconds']:.1f} s{speed}{again}")


def warnings_text(warnings: Iterable[str]) -> Iterable[Renderable]:
    """Yield the warnings with an empty line above them, nothing where there are none."""
    listed = list(warnings)
    if listed:
        yield line()
        yield from (item("!", warning, style="yellow") for warning in listed)


def _next(document: Mapping[str, Any], *, verbose: bool) -> Iterable[Renderable]:
    if document["published"]:
        yield heading("Next")
        yield line("  ", command_line(["verify", document["output"]]))
        if document.get("next_command"):
            yield line("  ", document["next_command"])
        yield train_text(document, verbose=verbose)


def _train(document: Mapping[str, Any], *, verbose: bool) -> Iterable[Renderable]:
    commands = document["train_commands"]
    if not document["published"] or not any(commands.values()):
        return
    if not verbose and not document.get("packed_bytes"):  # `show` does not know where an image is mounted
        plan = f"{document['output']}/{PLAN}"
        yield line("  ", command_line(["show", plan, "--verbose"]))
        yield line(("      prints the commands that train YOLOv5 and Ultralytics", "dim"))
        return
    for name, title in (("yolov5", "Train with YOLOv5"), ("ultralytics", "Train with Ultralytics")):
        if commands.get(name):
            yield heading(title)
            yield line(commands[name])


# ---- slurm ----------------------------------------------------------------------------------------------------------


def slurm_document(files: Mapping[str, str], *, nodes: int, folder: str, submit: str) -> dict[str, Any]:
    """Return the batch files (array and finish) with what submits them."""
    return {"nodes": nodes, "folder": folder, **files, "submit": submit}


def slurm_text(document: Mapping[str, Any]) -> Renderable:
    """Return it for a person."""
    return Group(*_written(document))


def _written(document: Mapping[str, Any]) -> Iterable[Renderable]:
    yield line(f"Wrote {document['array']} ({document['nodes']} shards) and {document['finish']} to")
    yield line("  ", document["folder"])
    yield prose("Read them, fill in what your cluster wants to know (time, partition, account), then submit both:")
    yield heading("Submit")
    yield line(document["submit"])
    if "train" in document:
        yield heading("Train, once it is published")
        yield line(f"sbatch {document['train']}")
