"""What could not be placed, and what that means for a build."""

import os.path
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from planbalance.engine import words
from planbalance.engine.job import Job, command
from planbalance.engine.work import Fault
from planbalance.errors import IncompleteError, PlanError

_KEPT_GOING: Final = 1_000  # after so many I/O errors the rest is not tried
_NAMED: Final = 3


class Faults:
    """The faults of a build, in the order in which they were found.

    Attributes:
        stale: the source is not what was planned, so nothing will be published.
        hopeless: the disk is full, or so much fails that the rest is not worth a try.
    """

    def __init__(self) -> None:
        self.stale = self.hopeless = False
        self._found: list[Fault] = []
        self._broken = 0

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._found)

    def add(self, faults: Iterable[Fault]) -> None:
        """Take some in."""
        for fault in faults:
            self._found.append(fault)
            self.stale |= fault.stale
            self._broken += not fault.stale
            self.hopeless |= fault.errno in words.FULL or self._broken >= _KEPT_GOING

    def refuse(self) -> None:
        """Raise what keeps the build from being published, if anything does.

        Raises PlanError where the plan is stale, for running again would not help there; else IncompleteError.
        """
        stale = [fault for fault in self._found if fault.stale]
        if stale:
            raise PlanError(
                f"The plan is stale: {_counted(stale, 'source file')} not what was planned: {_examples(stale)}",
                kind="plan-stale",
                hint="make the plan anew; what was built so far is kept until --restart or `planbalance clean`",
                paths=[fault.path for fault in stale],
            )
        if self._found:
            raise IncompleteError(
                f"{_counted(self._found, 'file')} not placed: {_examples(self._found)}",
                kind="io-error",
                hint=_advice(self._found),
                paths=[fault.path for fault in self._found],
            )


def refuse_gone_inputs(job: Job) -> None:
    """Refuse a stale plan of which a whole input is gone (PlanError): it was moved, or is not mounted here.

    An input is gone where not one of the images that the plan takes from it is there.
    """
    roots, planned = job.roots, job.plan.header.inputs
    asked: set[int] = set()
    there: set[int] = set()
    for operation in job.plan.operations():
        index = operation.input
        asked.add(index)
        if index not in there and os.path.lexists(f"{roots[index].rstrip('/')}/{operation.image}"):
            there.add(index)
    gone = sorted(asked - there)
    if not gone:
        return
    paths = [roots[index] for index in gone]
    moved = {planned[index] for index in gone}
    kept = tuple(pair for pair in job.options.map_input if pair[0] not in moved)
    options = replace(job.options, map_input=(*kept, *((root, "NEW") for root in sorted(moved))))
    # a build of symbolic links is bound to where the inputs are
    restart = " --restart" if options.mode == "symlink" and options.shard is None else ""
    raise PlanError(
        f"The plan is stale: a whole input is gone, not one image of it is there: {', '.join(paths)}",
        kind="plan-stale",
        hint=f"if it was moved, or is mounted elsewhere, say where it is now, in place of NEW: "
        f"{command(job.plan.path, options)}{restart}",
        paths=paths,
    )


def _counted(faults: list[Fault], noun: str) -> str:
    return f"1 {noun} is" if len(faults) == 1 else f"{len(faults):,} {noun}s are"


def _examples(faults: list[Fault]) -> str:
    said = "; ".join(f"{fault.path} {'' if fault.stale else '- '}{fault.reason}" for fault in faults[:_NAMED])
    return f"{said}; and {len(faults) - _NAMED:,} more" if len(faults) > _NAMED else said


def _advice(faults: list[Fault]) -> str:
    numbers = [fault.errno for fault in faults]
    return words.advice(next((number for number in numbers if number in words.FULL), numbers[0]))


def broken_off(output: str, error: OSError) -> IncompleteError:
    """Return what to say where a call failed that the whole build hangs on."""
    return IncompleteError(
        f"The build of {output} broke off: {words.reason(error)}" + (f" ({error.filename})" if error.filename else ""),
        kind="io-error",
        hint=words.advice(error.errno),
        paths=[str(error.filename)] if error.filename else [output],
    )
