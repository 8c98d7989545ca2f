"""Audits any YOLO dataset: compares it with its plan, where it has one, and finds what leaks between splits."""

from planbalance.audit.checks import import_all
from planbalance.audit.folds import fold_datasets, verify_folds
from planbalance.audit.options import VerifyOptions
from planbalance.audit.shards import finish_audit, finish_from, judge_shard, subject_of, verify_shard
from planbalance.audit.verify import verify

__all__ = [
    "VerifyOptions",
    "finish_audit",
    "finish_from",
    "fold_datasets",
    "judge_shard",
    "subject_of",
    "verify",
    "verify_folds",
    "verify_shard",
]

import_all()
