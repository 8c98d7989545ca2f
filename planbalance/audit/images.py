"""Images of a data set without a plan, each read once: its sum, whether it shows anything, what it looks like."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance.audit.loading import Taken, taken
from planbalance.audit.picture import Looker, Picture
from planbalance.audit.tree import read
from planbalance.decode import can_probe
from planbalance.model import Progress
from planbalance.pool import available_cores, batched, for_each_batch, run_blocking

_BATCH: Final = 32


class ImageRead(NamedTuple):
    """One image. `digest` is empty where it could not be read, and `fault` says why."""

    digest: bytes
    flat: bool
    fault: str
    picture: Picture | None
    taken: Taken | None = None


def read_images(
    paths: Sequence[str], *, class_count: int | None, looker: Looker | None, jobs: int | None, progress: Progress
) -> list[ImageRead]:
    """Return what each image is, in the order of the paths.

    Args:
        paths: absolute.
        class_count: of the yaml; None where there is none.
        looker: tells how an image looks; None: images are not decoded.
        jobs: worker threads; None: one a core.
        progress: where to report to.
    """
    results: dict[int, list[ImageRead]] = {}

    def work(batch: tuple[int, list[str]]) -> tuple[list[ImageRead], int]:
        images = [_read(path, class_count, looker) for path in batch[1]]
        return [image for image, _ in images], sum(size for _, size in images)

    async def finished(batch: tuple[int, list[str]], done: tuple[list[ImageRead], int]) -> None:
        results[batch[0]], size = done
        progress.advance(len(batch[1]), size)

    async def main() -> None:
        await for_each_batch(work, enumerate(batched(paths, _BATCH)), jobs=jobs or available_cores(), finished=finished)

    progress.begin("read images", len(paths), "images")
    try:
        run_blocking(main)
    finally:
        progress.end()
    return [image for index in range(len(results)) for image in results[index]]


def _read(path: str, class_count: int | None, looker: Looker | None) -> tuple[ImageRead, int]:
    decodable = can_probe()
    facts = read(path, follow=True, keep=decodable or looker is not None)
    picture = looker(facts.data, path) if looker is not None and facts.data is not None else None
    fault = "" if facts.kind == "file" else facts.error or f"is not a regular file ({facts.kind})"
    loaded = taken(path, facts.data if decodable else None, class_count)
    return ImageRead(facts.digest, facts.flat, fault, picture, loaded), facts.size
