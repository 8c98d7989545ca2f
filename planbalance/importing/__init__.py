"""Import raw annotations and images into one YOLO dataset: its plan, its build by the engine, and its audit.

`make_import` reads the sources and returns a sealed plan; nothing is written. `import_kind` says how the engine builds
such a plan. `verify_import` audits what was built.
"""

from planbalance.importing.audit import verify_import
from planbalance.importing.kind import import_kind
from planbalance.importing.make_plan import make_import

__all__ = ["import_kind", "make_import", "verify_import"]
