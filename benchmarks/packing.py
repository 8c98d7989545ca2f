"""`python -m benchmarks.packing`: one image beside a folder, on a near file system and on one where calls wait.

The peers that make an image or a tar are given the ready tree that `apply` builds, so they check nothing and resume
nothing. All cases of a table are of one run, round by round. How shards of an image scale with clients is measured by
`python -m benchmarks.scaling --mode squashfs --layouts keep`.
"""

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.build import Cases, Stage, measured, nothing, prepare, remover
from benchmarks.far import slow
from benchmarks.measure import TOOL, Case, compile_tool, machine, save, versions
from benchmarks.place import Place, UnavailableError

# At most so many times the peer.
GOALS = {
    ("squashfs", 4096, "apply"): 0.5,
    ("squashfs", 4096, "cp -r"): 0.8,
    ("squashfs", 65536, "cp -r"): 1.2,
}
VERIFY_GOAL = 0.4
FAR_GOAL = 1 / 150  # of cp -r, at 2 ms a call
MEMORY_GOAL = 120  # MiB, at 54,000 slices


def packed(
    stage: Stage, layout: str, mode: str, *options: str, name: str, peer: str, goal: float | None = None
) -> Case:
    """Return an apply into one file."""
    out = stage.root / f"out.{mode}"
    words = [*TOOL, "apply", str(stage.plan(layout)), "--mode", mode, "--output", str(out), "--quiet", *options]

    def clear() -> None:
        remover(out)()
        remover(Path(f"{out}.sha256"))()

    return Case(name, words, clear, peer, goal)


def building(stage: Stage, *, peers: bool) -> Iterator[Case]:
    """Yield the builds, the copies, and the tools that pack a ready tree."""
    cases, reference, size = Cases(stage), str(stage.reference("keep")), stage.image_size
    yield cases.peer("cp -r", "cp", "-r", "{}", "{}")
    yield cases.apply(name="apply", peer="cp -r")
    yield packed(stage, "keep", "squashfs", name="squashfs", peer="cp -r", goal=GOALS.get(("squashfs", size, "cp -r")))
    yield packed(stage, "keep", "squashfs", "--checksum", "none", name="squashfs, no sums", peer="cp -r")
    yield packed(stage, "keep", "tar", name="tar", peer="cp -r")
    out = stage.root / "peer.packed"
    quoted, target = shlex.quote(reference), shlex.quote(str(out))
    # Nothing compressed, and nothing compared with the rest: `--mode squashfs` does neither.
    stored = "-noI -noD -noF -noX -no-duplicates -no-fragments -quiet -no-progress"
    for program, words in (
        ("tar", f"tar -cf {target} -C {quoted} ."),
        ("mksquashfs", f"mksquashfs {quoted} {target} {stored}"),
        ("sqfstar", f"tar -cf - -C {quoted} . | sqfstar {stored} {target}"),
        ("gensquashfs", f"gensquashfs -q -D {quoted} {target}"),
    ):
        if peers and shutil.which(program):
            name = "tar -cf" if program == "tar" else program
            yield Case(f"{name} (ready tree)", ["sh", "-c", words], remover(out), "cp -r")


def auditing(stage: Stage) -> Iterator[Case]:
    """Yield the audits of a folder and of an image, beside the bare sums of the folder on two cores."""
    folder, image = stage.built("keep"), stage.root / "built.sqfs"
    reference = shlex.quote(str(stage.reference("keep")))
    hash_all = f"cd {reference} && find . -type f -print0 | xargs -0 -P 2 -n 500 sha256sum"
    yield Case("sha256sum", ["sh", "-c", hash_all], nothing)
    yield Case("sha256sum of the image", ["sha256sum", str(image)], nothing, "sha256sum", VERIFY_GOAL)
    yield Case("verify, folder", [*TOOL, "verify", str(folder), "--quiet"], nothing, "sha256sum")
    yield Case("verify, image", [*TOOL, "verify", str(image), "--quiet"], nothing, "sha256sum")


def far_building(stage: Stage) -> Iterator[Case]:
    """Yield what is built where each call waits, in both layouts."""
    yield Cases(stage).peer("cp -r", "cp", "-r", "{}", "{}")
    for layout in ("keep", "by-volume"):
        yield Cases(stage, layout).apply(name=f"apply, {layout}", peer="cp -r")
        yield packed(stage, layout, "squashfs", name=f"squashfs, {layout}", peer="cp -r", goal=FAR_GOAL)


def near(root: Path, slices: int, size: int, rounds: int, *, peers: bool) -> dict[str, object]:
    """Measure building and auditing below a folder."""
    place = Place("near", root)
    stage = prepare(place, slices, size, ["keep"], audited=True)
    made = [*TOOL, "apply", str(stage.plan("keep")), "--mode", "squashfs", "--output", f"{root}/built.sqfs", "--quiet"]
    subprocess.run(made, check=True)
    return {
        "method": f"{slices:,} slices of {size:,} bytes, before undersampling; {rounds} rounds",
        "rows": measured(place, list(building(stage, peers=peers)), rounds, settle=True),
        "audit": measured(place, list(auditing(stage)), rounds, settle=True),
    }


def far(slices: int, meta_us: int) -> dict[str, object]:
    """Measure building where source and output lie on a file system whose calls wait."""
    with slow(meta_us, 0) as place:
        with place.prepared():
            stage = prepare(place, slices, 4096, ["keep", "by-volume"])
        rows = measured(place, list(far_building(stage)), 1, settle=False)
        return {"method": f"{slices:,} slices of 4,096 bytes, before undersampling; {place.name}", "rows": rows}


@click.command()
@click.option("--on", "folder", type=click.Path(path_type=Path), default="/dev/shm", show_default=True)
@click.option("--slices", default=94_440, show_default=True, help="Before undersampling; 94,440 keep 53,914.")
@click.option("--size", default=4096, show_default=True, help="Bytes of an image.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--far-slices", default=0, show_default=True, help="Measure a far file system too, with so many slices.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="The tools that pack a ready tree.")
@click.option("--meta-us", default=2000, show_default=True, help="Latency of a metadata call there.")
@click.option("--json", "json_file", default="benchmarks/results/packing.json", show_default=True)
def main(  # noqa: PLR0913 - click passes options by name
    folder: Path, slices: int, size: int, rounds: int, far_slices: int, meta_us: int, json_file: str, *, peers: bool
) -> None:
    """Measure one image beside a folder and beside the tools that pack a ready tree."""
    compile_tool()
    result: dict[str, object] = {"machine": machine(str(folder)), "versions": versions()}
    root = Path(tempfile.mkdtemp(prefix="pb-packing-", dir=folder))
    try:
        if slices:
            result["near"] = near(root, slices, size, rounds, peers=peers)
    finally:
        shutil.rmtree(root)
    if far_slices:
        try:
            result["far"] = far(far_slices, meta_us)
        except UnavailableError as error:
            print(f"Skipped: {error}", file=sys.stderr)
    save(result, json_file)
    print(table(result))


def table(result: dict[str, object]) -> str:
    """Return the result as Markdown."""
    lines = []
    for name in ("near", "far"):
        part = result.get(name)
        if not isinstance(part, dict):
            continue
        lines += [
            f"{name}: {part['method']}",
            "",
            "| case | seconds | ratio | CPU seconds | CPU ratio | peak MiB | goal |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for row in (*part["rows"], *part.get("audit", ())):
            goal = row.get("goal")
            cells = (
                row["case"],
                row["seconds"],
                row.get("ratio", ""),
                row.get("cpu", ""),
                row.get("cpu_ratio", ""),
                row["peak_mib"],
                "" if goal is None else f"{goal:.3g}",
            )
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
