"""`python -m benchmarks`: one command, a table and a JSON file with machine and method."""

import json
import tempfile
from pathlib import Path

import click

from benchmarks import build


@click.command()
@click.option("--root", default=None, help="Folder on the file system to measure (default: the temporary folder).")
@click.option("--image-size", default=4096, show_default=True, help="Bytes of an image.")
@click.option("--rounds", "count", default=3, show_default=True, help="Measured rounds, after one that warms up.")
@click.option(
    "--json", "json_file", default="benchmarks/results/build.json", show_default=True, help="Where figures go."
)
def main(root: str | None, image_size: int, count: int, json_file: str) -> None:
    """Measure plan, apply in each mode and verify beside cp and a copy loop, in one run."""
    result = build.measure(root or tempfile.gettempdir(), image_size=image_size, count=count)
    Path(json_file).parent.mkdir(parents=True, exist_ok=True)
    Path(json_file).write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))


def table(result: dict[str, object]) -> str:
    """Return the result as a Markdown table, machine and method above it."""
    machine, rows = result["machine"], result["rows"]
    assert isinstance(machine, dict)
    assert isinstance(rows, list)
    lines = [", ".join(f"{key} {value}" for key, value in machine.items()), f"{result['method']}.", ""]
    lines += ["| | seconds | peak MiB | ratio | held against |", "|---|---:|---:|---:|---|"]
    for row in rows:
        values = (row["case"], f"{row['seconds']:.2f}", row["peak_mib"], row.get("ratio", ""), row.get("peer", ""))
        lines.append("| " + " | ".join(map(str, values)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
