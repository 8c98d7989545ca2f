"""The audit: whether what was planned is what is there, and what leaks between splits, on any YOLO dataset."""

from planbalance.audit.checks import import_all
from planbalance.audit.options import VerifyOptions
from planbalance.audit.shards import finish_audit, finish_from, judge_shard, subject_of, verify_shard
from planbalance.audit.verify import verify

__all__ = [
    "VerifyOptions",
    "finish_audit",
    "finish_from",
    "judge_shard",
    "subject_of",
    "verify",
    "verify_shard",
]

import_all()
