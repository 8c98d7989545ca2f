"""Tune: measure what the file system under a folder can do, and which settings `apply` would use there."""

from planbalance.tune.measure import Tuned, document_of, tune

__all__ = ["Tuned", "document_of", "tune"]
