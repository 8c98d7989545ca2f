"""The table of modes: complete, and each mode has the function that places its files."""

from typing import get_args

from planbalance.engine.packing import FORMS
from planbalance.engine.placer import PLACES_AFTER_CHECK, PLACES_OPEN_FILES
from planbalance.modes import MODE_TABLE, MODES, Mode
from planbalance.tune.probes import described


def test_every_mode_has_a_row() -> None:
    assert MODES == tuple(MODE_TABLE) == get_args(Mode)


def test_every_mode_that_places_files_has_a_function_that_places_one() -> None:
    placing = {mode for mode, traits in MODE_TABLE.items() if traits.places_files and not traits.one_file}
    assert placing == {*PLACES_OPEN_FILES, *PLACES_AFTER_CHECK}


def test_every_mode_that_packs_has_a_form() -> None:
    assert {mode for mode, traits in MODE_TABLE.items() if traits.one_file} == set(FORMS)


def test_a_mode_that_may_be_refused_can_be_tried() -> None:
    assert {mode for mode, traits in MODE_TABLE.items() if traits.may_be_refused} <= set(PLACES_AFTER_CHECK)


def test_tune_tries_each_mode_that_may_be_refused() -> None:
    for mode, traits in MODE_TABLE.items():
        if traits.may_be_refused:
            assert described(mode)
