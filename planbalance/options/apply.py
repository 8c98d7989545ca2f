"""The options of `apply`, which `build` and `slurm` carry over in part."""

from dataclasses import dataclass
from typing import Final, Literal

from planbalance.modes import Mode
from planbalance.options.cluster import ClusterChoices
from planbalance.options.declare import ADVANCED, option


@dataclass(frozen=True, kw_only=True)
class ApplyChoices:
    """What is the same in a request to apply a plan and in `engine.ApplyOptions`."""

    mode: Mode = option("copy", "How images are placed.", heading="Output")
    labels: Literal["copy", "same"] | None = option(
        None,
        "Labels copied (one edited later does not change the source), or placed as the images are.  [default: copy]",
        heading="Output",
    )
    fallback: Literal["none", "copy"] = option(
        "none", "Where the file system refuses the mode: an error, or copy.", heading=ADVANCED
    )
    jobs: int | None = option(None, "Number of workers.", value="jobs")
    checksum: Literal["sha256", "none"] = option(
        "sha256", "Whether a copy gets a manifest with the SHA-256 sums of its images.", heading=ADVANCED
    )
    dry_run: bool = option(False, "Check staleness, space and permissions; write nothing.")
    restart: bool = option(False, "Throw a partial build of this output away first.", heading="Output")
    output: str | None = option(
        None, "Build in another place than the planned one.", heading=ADVANCED, metavar="DIR", value="path"
    )
    map_input: tuple[tuple[str, str], ...] = option(
        (),
        "The input OLD of the plan is here NEW, such as a node's scratch (repeatable).",
        heading=ADVANCED,
        metavar="OLD=NEW",
        value="pair",
    )
    mount_at: str | None = option(
        None,
        "squashfs, tar: the `path:` that dataset.yaml gets, where it will be mounted or unpacked.  [default: no path]",
        heading=ADVANCED,
        metavar="PATH",
    )
    allow_cut_jpegs: bool = option(
        False,
        "squashfs, tar: take JPEGs that do not end in FF D9, which trainers drop from a read-only dataset.",
        heading=ADVANCED,
    )
    durability: Literal["fast", "safe"] = option(
        "fast",
        "fast: a killed run is resumed; safe: a power loss is survived too, and files are synced while building.",
        heading=ADVANCED,
    )


@dataclass(frozen=True, kw_only=True)
class ApplyRequest(ClusterChoices, ApplyChoices):
    """The options of `apply`, each the command line's of the same name; `build` and `slurm` have some of them.

    `labels` None means "copy"; mode "list" allows no other value. `jobs` None: as many as this process may use.
    `map_input` are pairs (planned input, its place on this machine). `shard` is "I/N", or "auto" in a Slurm array: that
    part is built, and nothing is published; `finish` publishes what the shards have built.
    """

    allow_edited: bool = option(False, "Take a plan that was edited by hand.", heading=ADVANCED)


# The options that `build` and `slurm` have too; the others are for a run of `apply`.
OF_BUILD: Final = (
    *("mode", "labels", "fallback", "jobs", "checksum", "mount_at", "allow_cut_jpegs"),
    *("dry_run", "restart", "durability"),
)
# With --build.
OF_IMPORT: Final = ("mode", "fallback", "jobs", "checksum", "allow_cut_jpegs", "dry_run", "restart", "durability")
OF_SLURM: Final = (*OF_BUILD, "output", "map_input")
