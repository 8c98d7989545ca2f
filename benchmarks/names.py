"""How well `--volume-pattern auto` reads naming conventions whose truth is known.

    python -m benchmarks.names CORPUS.json ...

A corpus is a JSON list of conventions: `id`, `kind`, `decidable` (whether the names alone tell what must stay
together), `expected` (`right`, or `refuse-or-warn` where they do not), and `names`: a list of `path`, `volume`,
`patient` (null where the names know none). Verdicts:

* right: what must stay in one split is exactly one patient, or one volume where names know no patient;
* coarser: nothing is divided, some units hold several;
* refused, warned: the run stops, or a warning shows what was read;
* SILENTLY TORN, PATIENT TORN: a volume, or a patient, is divided without a word;
* TOO COARSE: fewer than 8 units, where there are at least 3 times as many;
* false alarm: a refusal or a warning where the names say it all.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from planbalance.errors import InputError
from planbalance.model import split_of_word
from planbalance.naming import find_names


def below_image_folder(path: str) -> str:
    """Return a path below its image folder, split folders left out."""
    parts = path.split("/")
    while len(parts) > 1 and (parts[0] == "images" or split_of_word(parts[0]) is not None):
        parts = parts[1:]
    return "/".join(parts)


def verdict(entry: dict[str, Any]) -> tuple[str, bool]:
    """Return what becomes of one convention, and whether there was a warning."""
    names = entry["names"]
    try:
        reading = find_names([below_image_folder(one["path"]) for one in names])
    except InputError:
        return "refused", True
    read = reading.names
    patients = read.patients or [None] * len(names)
    units = [patient or volume for patient, volume in zip(patients, read.volumes, strict=True)]
    of_volume, of_patient, truth = defaultdict(set), defaultdict(set), set()
    for unit, one in zip(units, names, strict=True):
        of_volume[one["volume"]].add(unit)
        if one["patient"] is not None:
            of_patient[one["patient"]].add(unit)
        truth.add(one["volume"] if one["patient"] is None else one["patient"])
    warned, found = bool(reading.warnings), len(set(units))
    if any(len(several) > 1 for several in of_volume.values()):
        return "warned" if warned else "SILENTLY TORN", warned
    if any(len(several) > 1 for several in of_patient.values()):
        return "warned" if warned else "PATIENT TORN", warned
    if found == len(truth):
        return "right", warned
    if found < 8 and len(truth) >= 3 * found:
        return "warned" if warned else "TOO COARSE", warned
    return "coarser", warned


def main() -> None:
    """Judge every corpus and print its table."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m benchmarks.names CORPUS.json ...")
    for corpus in map(Path, sys.argv[1:]):
        entries = json.loads(corpus.read_text(encoding="utf-8"))
        counts: Counter[str] = Counter()
        good = alarms = 0
        for entry in entries:
            what, warned = verdict(entry)
            counts[what] += 1
            good += entry["decidable"] and what in {"right", "coarser"}
            alarm = entry["expected"] == "right" and warned and what != "warned"
            alarms += alarm
            if what.isupper() or alarm:
                print(f"  {entry['id']}: {what}{', a false alarm' if alarm else ''}")
        decidable = sum(entry["decidable"] for entry in entries)
        listed = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        print(f"{corpus.name}: {len(entries)} conventions: {listed}")
        print(f"  {good} of {decidable} decidable ones right or coarser; {alarms} false alarms")


if __name__ == "__main__":
    main()
