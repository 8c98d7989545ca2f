"""The scripts of docs/_build, which is no package."""

import importlib.util
import sys
from functools import cache
from types import ModuleType

from tests.docs.places import DOCS


@cache
def script(name: str) -> ModuleType:
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"_build/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
