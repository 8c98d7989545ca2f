"""`python -m benchmarks.splitters`: splitters compared on instances that are hard in different ways.

`instances` draws or reads the volumes, `rivals` calls the splitters, `measures` says how close a split is, and
`__main__` is the command. How the measures are taken stands in `measures`.
"""

from benchmarks.splitters.instances import draw_units

__all__ = ["draw_units"]
