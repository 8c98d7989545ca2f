"""Options are declared once: the command line and the Python API have the same names, defaults and objects."""

from collections import Counter
from dataclasses import fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from planbalance import api
from planbalance.cli.options import Command, command, takes
from planbalance.cli.program import COMMANDS, cli
from planbalance.cli.terminal import CommandResult
from planbalance.options.apply import OF_BUILD, OF_SLURM, ApplyRequest
from planbalance.options.audit import ReportRequest, VerifyRequest
from planbalance.options.plan import PlanRequest, ScanRequest, SeveralPlans
from planbalance.render.table import line

REQUESTS = (ScanRequest, PlanRequest, SeveralPlans, ApplyRequest, VerifyRequest, ReportRequest)


def options_of(name: str) -> list[click.Option]:
    context = click.Context(cli)
    found = cli.get_command(context, name)
    assert isinstance(found, Command)
    return [each for each in found.get_params(context) if isinstance(each, click.Option)]


def declared(request: Any) -> set[str]:
    return {each.name for each in fields(request) if each.metadata}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_of_a_command_exists_once(name: str) -> None:
    spellings = Counter(word for each in options_of(name) for word in (*each.opts, *each.secondary_opts))
    names = Counter(each.name for each in options_of(name))
    assert [word for word, times in (spellings + names).items() if times > 1] == []


@pytest.mark.parametrize(
    ("name", "of_request"),
    [
        ("scan", declared(ScanRequest)),
        ("plan", declared(PlanRequest) | declared(SeveralPlans)),
        ("apply", declared(ApplyRequest)),
        ("verify", declared(VerifyRequest)),
        ("report", declared(ReportRequest)),
        ("build", declared(PlanRequest) | (set(OF_BUILD) - {"labels"})),
        ("slurm", set(OF_SLURM)),
    ],
)
def test_a_command_has_all_options_that_its_request_declares(name: str, of_request: set[str]) -> None:
    assert of_request <= {each.name for each in options_of(name)}


@pytest.mark.parametrize("request_class", REQUESTS, ids=lambda value: value.__name__)
def test_what_nobody_types_is_the_default_of_the_api(request_class: Any) -> None:
    seen = []

    @command("try", example="try", configured=False)
    @takes(request_class)
    def tried(request: Any) -> CommandResult:
        seen.append(request)
        return CommandResult({}, line())

    assert CliRunner().invoke(tried, []).exit_code == 0
    assert seen == [request_class()]


def test_a_help_is_that_of_the_declaration() -> None:
    helps = {each.name: each.help for each in options_of("plan")}
    assert all(helps[each.name] == each.metadata["about"] for each in fields(PlanRequest) if each.metadata)


def test_the_api_knows_no_keyword_that_is_not_declared() -> None:
    call: Any = api.report
    with pytest.raises(TypeError, match="sampels"):
        call("plan.json", html="page.html", sampels=3)


def test_output_and_verbose_have_a_short_name_wherever_they_are() -> None:
    context = click.Context(cli, info_name="planbalance")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        for long, short in (("--output", "-o"), ("--verbose", "-v")):
            for option in command.params:
                if isinstance(option, click.Option) and long in option.opts and not option.hidden:
                    assert short in option.opts, f"{name} {long}"
