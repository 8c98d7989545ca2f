"""`python -m benchmarks.scaling`: one plan built by 1, 2, 4 and 8 clients, each with a mount of its own.

Every client runs one shard; the time is from the moment when all have mounted until the last shard has ended, start-up
and the reading of the plan included. `finish` is the run that checks and publishes, by one client. CPU is what the
whole machine used meanwhile, file servers included, so nothing else may be at work. `again` is a shard that is done
already: what a client costs before its first slice.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.far import moosefs, slow
from benchmarks.measure import TOOL, machine, save
from benchmarks.place import Place, client

_LAYOUTS = ("by-volume", "keep")
_IMAGE_BYTES = 256


def prepare(place: Place, volumes: int, slices: int) -> list[str]:
    """Write a source below the place, and a plan of it for each layout; return the plans."""
    sizes = {f"01-{number:05d}": (slices, 0 if number % 4 else slices // 2) for number in range(volumes)}
    source = f"{place.root}/in"
    maker = (
        "from pathlib import Path; from benchmarks.build import write_volumes; "
        f"write_volumes(Path({source!r}), {sizes}, {_IMAGE_BYTES})"
    )
    run(place, [sys.executable, "-c", maker])
    plans = []
    for layout in _LAYOUTS:
        plan = f"{place.root}/{layout}.json"
        words = ["plan", source, "--output", f"{place.root}/out-{layout}", "--layout", layout]
        run(place, [*TOOL, *words, "--negatives-per-positive", "all", "--plan-file", plan, "--quiet"])
        plans.append(plan)
    return plans


def run(place: Place, command: Sequence[str]) -> None:
    """Run a command where the place is mounted without delay."""
    said = subprocess.run(client(place, command, mount=place.direct), capture_output=True, text=True, check=False)
    if said.returncode != 0:
        sys.exit(f"{command}: {said.stdout}{said.stderr}")


@dataclass(frozen=True)
class Together:
    """Seconds that commands took which began at once: all of them, each, and of CPU on the whole machine."""

    seconds: float
    each: Sequence[float]
    cpu: float


def together(place: Place, commands: Sequence[Sequence[str]]) -> Together:
    """Run commands at once, each on a client of its own."""
    with tempfile.TemporaryDirectory() as folder:
        go = Path(folder) / "go"
        children = [
            subprocess.Popen(
                client(place, words, go=go), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
            )
            for words in commands
        ]
        subprocess.run(["sleep", "3"], check=True)  # all have mounted
        before = machine_cpu()
        go.touch()
        times = []
        for child, words in zip(children, commands, strict=True):
            out, said = child.communicate()
            if child.returncode != 0:
                sys.exit(f"{words}: exit {child.returncode}\n{out.decode()}{said.decode()}")
            begin, *_, end = out.decode().splitlines()
            times.append((float(begin), float(end)))
    whole = max(end for _, end in times) - min(begin for begin, _ in times)
    return Together(whole, [end - begin for begin, end in times], machine_cpu() - before)


def machine_cpu() -> float:
    """Return the seconds of CPU that this machine has used since it began, waiting for a disk not counted (proc(5))."""
    user, nice, system, _idle, _waiting, interrupts, soft, *_ = (
        int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def output_of(place: Place, plan: str) -> str:
    """Return where `prepare` lets a plan be built."""
    return f"{place.root}/out-{Path(plan).stem}"


def scale(place: Place, plan: str, mode: str, jobs: int, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Build a plan with each count of clients; return a row for each."""
    rows: list[dict[str, Any]] = []
    for count in counts:
        apply = [*TOOL, "apply", plan, "--mode", mode, "--jobs", str(jobs), "--quiet"]
        shards = [[*apply, "--shard", f"{n}/{count}"] for n in range(1, count + 1)]
        built = together(place, shards)
        again = together(place, shards[:1])
        finish = together(place, [[*apply, "--finish"]])
        run(place, ["sh", "-c", f"rm -r {output_of(place, plan)}*"])  # a file of --mode squashfs has a suffix
        first = rows[0]["seconds"] if rows else built.seconds
        rows.append(
            {
                "clients": count,
                "seconds": round(built.seconds, 2),
                "slowest and fastest": f"{max(built.each):.1f}, {min(built.each):.1f}",
                "speed-up": round(first / built.seconds, 2),
                "efficiency": round(first / built.seconds / count, 2),
                "CPU": round(built.cpu, 1),
                "again": round(again.seconds, 2),
                "again CPU": round(again.cpu, 2),
                "finish": round(finish.seconds, 2),
            }
        )
        print("  ", rows[-1], file=sys.stderr)
    return rows


@click.command()
@click.option("--on", type=click.Choice(["slow", "moosefs"]), default="slow", show_default=True)
@click.option("--meta-us", default=5000, show_default=True, help="Latency of a metadata call, with --on slow.")
@click.option("--data-us", default=1000, show_default=True, help="Latency of a data call, with --on slow.")
@click.option("--volumes", default=160, show_default=True)
@click.option("--slices", default=50, show_default=True, help="Slices a volume.")
@click.option("--mode", default="symlink", show_default=True)
@click.option("--jobs", default=8, show_default=True, help="Workers of each client.")
@click.option("--clients", default="1,2,4,8", show_default=True)
@click.option("--layouts", default="by-volume,keep", show_default=True)
@click.option("--json", "json_file", default="benchmarks/results/scaling.json", show_default=True)
def main(  # noqa: PLR0913, PLR0917 - click passes options by name
    on: str,
    meta_us: int,
    data_us: int,
    volumes: int,
    slices: int,
    mode: str,
    jobs: int,
    clients: str,
    layouts: str,
    json_file: str,
) -> None:
    """Measure how shards scale with clients, by-volume and flat."""
    counts = [int(word) for word in clients.split(",")]
    with slow(meta_us, data_us) if on == "slow" else moosefs() as place:
        plans = prepare(place, volumes, slices)
        result = {
            "machine": machine(str(place.root)),
            "method": f"{volumes * slices:,} slices of {volumes} volumes, --mode {mode}, --jobs {jobs}, {place.name}",
            "rows": {
                layout: scale(place, plan, mode, jobs, counts)
                for layout, plan in zip(_LAYOUTS, plans, strict=True)
                if layout in layouts.split(",")
            },
        }
    save(result, json_file)
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines = [", ".join(f"{key} {value}" for key, value in result["machine"].items()), f"{result['method']}.", ""]
    lines += [
        "| layout | clients | seconds | slowest, fastest | speed-up | efficiency | CPU | again | again, CPU | finish |",
        "|---|" + "---:|" * 9,
    ]
    for layout, rows in result["rows"].items():
        lines += [f"| {layout} | " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
