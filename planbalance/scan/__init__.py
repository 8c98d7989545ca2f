"""Scan inputs: find every image with its label, and report everything that is wrong, in one pass.

Each folder is listed once, each file has one `stat` at most, and an empty label is never opened. Listing, `stat` and
reading are done in batches by worker threads or processes: by one where calls return at once, by many where a remote
file system makes each call wait.
"""

from planbalance.scan.content import image_digests
from planbalance.scan.scanner import scan, unread_suffixes

__all__ = ["image_digests", "scan", "unread_suffixes"]
