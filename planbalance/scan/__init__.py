"""Folders -> `Snapshot`: every image with its label, and everything that is wrong, in one pass.

Each folder is listed once, each file has one `stat` at most, and a label without a byte is never opened. Listing,
`stat` and reading go to worker threads in batches: one worker where a call is answered at once, many where a far file
system makes each one wait.
"""

from planbalance.scan.story import scan, unread_suffixes

__all__ = ["scan", "unread_suffixes"]
