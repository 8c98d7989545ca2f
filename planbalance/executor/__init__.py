"""Runs work in batches: in this process, in forked processes or in threads, as many as raise the rate.

The one executor of scan, apply, verify and tune:

* `autoscaler`: how many workers, of which kind, and how large a batch is. Pure; all limits are defined there.
* `processes`: forked processes, for loops that one interpreter lock would keep on one core.
* `threads`: threads, for calls that wait for a disk or a server.
* `worker_pool`: a pool of both kinds, which the autoscaler resizes while it watches.

Handing one batch to a thread costs as much as 35 to 100 small file operations, so work is never handed over a file at a
time (docs/architecture.md, "How work is shared out").
"""
