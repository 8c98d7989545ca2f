"""Build a whole dataset: check, stage, place, write the metadata, publish. A second run resumes an interrupted one."""

from planbalance.engine import preflight
from planbalance.engine.context import Context
from planbalance.engine.placing import place_and_publish
from planbalance.engine.rendering import NOTHING_RENDERED, render_all
from planbalance.model import Outcome


async def build(context: Context) -> Outcome:
    """Place every slice that no earlier run has placed, and publish the dataset.

    Into one file slices are rendered first, where any are: their sizes say where each goes.
    """
    job = context.job
    await context.step(lambda: preflight.check(job, context.pool))
    async with context.open_staging() as staging:
        onto_empty = await context.begin(staging)
        rendered = await render_all(context, staging) if job.renders_first else NOTHING_RENDERED
        return await place_and_publish(context, staging, rendered, onto_empty=onto_empty)
