"""`planbalance import`: raw annotations and images become one dataset, by a plan that is reviewed first."""

import shlex
from typing import Any

import click

from planbalance import api
from planbalance.api import DEFAULT_IMPORT, Imported
from planbalance.cli.options import PATH, command, option, output_option, takes, verbose_option
from planbalance.cli.terminal import CommandResult, Terminal
from planbalance.options.importing import ImportRequest
from planbalance.render.importing import import_document, import_text

_OF_PLAN = ("train-ratio", "val-ratio", "test-ratio", "seed", "negatives-per-positive", "folds")


def _refuse_split(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Refuse an option of the guide's scripts that divides or undersamples."""
    if value is not None:
        raise click.UsageError(
            f"--{parameter.opts[0].lstrip('-')} is no option of import: `planbalance plan` splits, and `import` only "
            "collects."
        )


def _options_of_plan(function: Any) -> Any:  # noqa: ANN401 - a decorator
    for name in reversed(_OF_PLAN):
        function = option(f"--{name}", hidden=True, expose_value=False, callback=_refuse_split)(function)
    return function


@command(
    "import",
    example="planbalance import --format coco --annotations a.json --images raw --classes tear --output combined",
)
@output_option
@takes(ImportRequest)
@option(
    "--plan-file", type=PATH, default=DEFAULT_IMPORT, show_default=True, heading="Output", help="Where to write it."
)
@verbose_option
@_options_of_plan
@click.pass_obj
def importing(
    terminal: Terminal,
    output: str,
    request: ImportRequest,
    plan_file: str,
    verbose: bool,  # noqa: FBT001 - an option
) -> CommandResult:
    """Plan a dataset of raw annotations and images: every annotation gets one fate, and the fates sum to all of them.

    Nothing is written but the plan: read what became of the annotations, then run `planbalance apply import.json`.
    """
    made = api.import_dataset(output=output, plan_file=plan_file, options=request, progress=terminal.progress)
    document = document_of(made)
    return CommandResult(document, import_text(document, commands=_next(plan_file), verbose=verbose))


def document_of(made: Imported) -> dict[str, Any]:
    """Return what a plan of an import decided, as JSON values."""
    return import_document(
        made.plan.header,
        made.plan.ledger(),
        plan_file=made.path or None,
        warnings=made.warnings,
        replaced=made.replaced,
    )


def _next(plan_file: str) -> tuple[str, ...]:
    return (shlex.join(["planbalance", "apply", plan_file]),)
