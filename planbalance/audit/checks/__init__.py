"""The checks of an audit, each module one subject; `audit/check_table.py` has the table of all of them.

A new check is one module here: it registers its name (`check_table.register`) and, where it looks at each slice of a
planned dataset, its function (`each_slice.slice_check`). `import_all` finds it.
"""

from importlib import import_module
from pkgutil import iter_modules


def import_all() -> None:
    """Import every module of this package, so that every check is registered."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
