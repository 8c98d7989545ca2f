"""`planbalance import`: raw annotations and images become one dataset, by a plan that is reviewed first."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import click

from planbalance import api, resolve
from planbalance.api import DEFAULT_IMPORT, Imported
from planbalance.cli.options import PATH, command, option, output_option, takes, verbose_option
from planbalance.cli.plan import document_of as plan_document_of
from planbalance.cli.plan import note_kept
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.cli.verify import AUDIT_FAILED
from planbalance.errors import UsageError
from planbalance.import_files import volume_document
from planbalance.import_model import ImportHeader
from planbalance.options.apply import OF_IMPORT, ApplyRequest
from planbalance.options.importing import ImportRequest
from planbalance.render.apply import apply_document, apply_text, done_text, train_text
from planbalance.render.importing import (
    import_document,
    import_text,
    imported_volume_document,
    imported_volume_text,
    imported_volumes_csv,
)
from planbalance.render.plan import plan_text
from planbalance.render.table import Group, Renderable, heading, line, lines, prose
from planbalance.render.verify import verify_document, verify_text
from planbalance.text import command_line

# Options of other commands and of the guide's scripts, and what to do instead.
_SPLITS: Final = "`planbalance plan` splits, and `import` only collects."
_ELSEWHERE: Final = {
    **dict.fromkeys(("train-ratio", "val-ratio", "test-ratio", "seed", "negatives-per-positive", "folds"), _SPLITS),
    "append": "import all sources at once with --sources FILE.toml, or add one to an older import with --extend OLD.",
    "data-source": "name the annotations with --format and --annotations, and the images with --images.",
}


def _refuse_option(_ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    """Refuse an option of the guide's scripts."""
    if value is not None and value is not False:
        name = parameter.opts[0].lstrip("-")
        raise click.UsageError(f"--{name} is no option of import: {_ELSEWHERE[name]}")


def _options_elsewhere(function: Any) -> Any:  # noqa: ANN401 - a decorator
    for name in reversed(_ELSEWHERE):
        is_flag = name == "append"
        function = option(f"--{name}", hidden=True, is_flag=is_flag, expose_value=False, callback=_refuse_option)(
            function
        )
    return function


@command(
    "import",
    example="planbalance import --format coco --annotations a.json --images raw --classes tear --output combined",
)
@output_option
@takes(ImportRequest, without=("jobs",))
@takes(ApplyRequest, "apply", only=OF_IMPORT)
@option(
    "--plan-file", type=PATH, default=DEFAULT_IMPORT, show_default=True, heading="Output", help="Where to write it."
)
@option(
    "--build", "then_build", is_flag=True, heading="Output",
    help="Build it too, audit it, and divide it into splits in DIR-balanced with the defaults of `planbalance build`. "
    "With --mode squashfs or tar it is one file, and not divided: mount or unpack it for that.",
)  # fmt: skip
@verbose_option
@_options_elsewhere
@click.pass_obj
def importing(
    terminal: Terminal,
    output: str,
    request: ImportRequest,
    apply: ApplyRequest,
    plan_file: str,
    then_build: bool,  # noqa: FBT001 - an option
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Plan a dataset of raw annotations and images: every annotation gets one fate, and the fates sum to all of them.

    Only the plan is written. Read in it what happened to each annotation, then run `planbalance apply import.json`.
    """
    request = replace(request, jobs=apply.jobs)
    common: dict[str, Any] = {"output": output, "plan_file": plan_file, "options": request}
    common["progress"] = terminal.progress
    if not then_build:
        resolve.refuse_given(
            replace(apply, jobs=None), [name for name in OF_IMPORT if name != "jobs"],
            "is for --build, or for `planbalance apply` of the plan",
        )  # fmt: skip
        made = api.import_dataset(**common)
        note_kept(terminal, [made])
        document = document_of(made)
        return CommandResult(document, import_text(document, commands=_next(plan_file), verbose=verbose))
    return _built(terminal, apply, common, verbose=verbose)


def _built(terminal: Terminal, apply: ApplyRequest, common: Mapping[str, Any], *, verbose: bool) -> CommandResult:
    documents: dict[str, Any] = {}

    def show_plan(made: Imported) -> None:
        note_kept(terminal, [made])
        documents["import"] = document_of(made)
        terminal.show(import_text(documents["import"], verbose=verbose))
        terminal.show(line())

    built = api.import_and_build(**common, apply=apply, planned=show_plan)
    documents["apply"] = None if built.outcome is None else apply_document(built.outcome)
    documents["verify"] = None if built.audit is None else verify_document(built.audit)
    if built.built is None:
        documents["build"] = None
        if built.audit is None:
            return CommandResult(documents, apply_text(documents["apply"], dry_run=True))
        return CommandResult(
            documents, Group(*_import_steps(documents), *_not_divided()), 0 if built.audit.ok else AUDIT_FAILED
        )
    divided = built.built
    documents["build"] = {
        "plan": plan_document_of(divided.planned),
        "apply": apply_document(divided.outcome),
        "verify": None if divided.audit is None else verify_document(divided.audit),
    }
    ok = built.audit is not None and built.audit.ok and divided.audit is not None and divided.audit.ok
    return CommandResult(documents, Group(*_steps(documents, verbose=verbose)), 0 if ok else AUDIT_FAILED)


def _import_steps(documents: Mapping[str, Any]) -> Iterator[Renderable]:
    if documents["apply"] is None:
        yield prose("The import is built already.")
    else:
        yield done_text(documents["apply"])
    yield heading("Verify the import (what was written; pictures and labels were not read again)")
    yield verify_text(documents["verify"])


def _not_divided() -> Iterator[Renderable]:
    """Yield why an import in one file is not divided into splits, and what to do."""
    yield line()
    yield prose(
        "It was not divided into splits, since `planbalance plan` reads folders: mount or unpack the file, and run "
        "plan on that folder (docs/how-to/one-file says how)."
    )


def _steps(documents: Mapping[str, Any], *, verbose: bool) -> Iterator[Renderable]:
    yield from _import_steps(documents)
    divided = documents["build"]
    yield heading("Divide it into splits")
    yield plan_text(divided["plan"], verbose=verbose)
    yield done_text(divided["apply"])
    yield heading("Verify (what was written, and labels by content; images were not read again)")
    yield verify_text(divided["verify"])
    yield line()
    yield train_text(divided["apply"], verbose=verbose)


def document_of(made: Imported) -> dict[str, Any]:
    """Return what a plan of an import decided, as JSON values."""
    document = import_document(
        made.plan.header,
        made.plan.ledger(),
        plan_file=made.path or None,
        warnings=made.warnings,
        replaced=made.replaced,
    )
    return document | {"kept_as": made.kept or None}


def _next(plan_file: str) -> tuple[str, ...]:
    return (command_line(["apply", plan_file]),)


def shown_import(path: str, volume: str | None, *, as_csv: bool, verbose: bool) -> CommandResult:
    """Return what `show` prints of the plan of an import: all of it, one volume, or all volumes as CSV."""
    plan = api.open_import(path)
    header = plan.header
    if as_csv:
        rows = [volume_document(header, one) for one in header.volumes]
        return CommandResult({"volumes": rows}, lines(imported_volumes_csv(rows)))
    if volume is not None:
        document = imported_volume_document(header, _index_of(header, volume), plan.operations())
        return CommandResult(document, imported_volume_text(document))
    document = import_document(header, plan.ledger(), plan_file=path, warnings=header.warnings, replaced="")
    return CommandResult(document, import_text(document, commands=_next(path), verbose=verbose))


def _index_of(header: ImportHeader, volume: str) -> int:
    found = next((index for index, one in enumerate(header.volumes) if one.id == volume), None)
    if found is None:
        raise UsageError(
            f"The plan has no volume {volume}.",
            kind="unknown-volume",
            hint="`planbalance show --csv` lists all volumes.",
        )
    return found
