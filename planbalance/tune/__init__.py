"""Tune: what the file system under a folder can do, measured there, and what `apply` would make of it."""

from planbalance.tune.document import document_of
from planbalance.tune.story import Tuned, tune

__all__ = ["Tuned", "document_of", "tune"]
