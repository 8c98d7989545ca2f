"""What adds up over batches of slices: problems, counts, names to claim. Fit to be sent from one process to another."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from planbalance.audit.slices import Judged
from planbalance.audit.structure import Found
from planbalance.audit.tally import Tally


@dataclass(slots=True)
class Gathered:
    """The sum of what was judged.

    Attributes:
        found: problems with the checks that they belong to.
        tally: counts.
        names: of images and labels by folder, to be taken out of the tree's.
        unnamed: paths that the manifest does not name.
        named: how many it does.
        size: bytes of images that were read.
    """

    found: list[Found] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    names: dict[str, list[str]] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    named: int = 0
    size: int = 0

    def take(self, judged: Judged, sums: Mapping[str, str] | None) -> None:
        """Add a batch; `sums` is the manifest's, or None."""
        self.found += judged.found
        self.tally.add(judged.seen)
        self.size += judged.size
        names = self.names
        for path in judged.places:
            folder, _, name = path.rpartition("/")
            of_folder = names.get(folder)
            if of_folder is None:
                of_folder = names[folder] = []
            of_folder.append(name)
        if sums is not None:
            unnamed = [path for path in judged.places if path not in sums]
            self.unnamed += unnamed
            self.named += len(judged.places) - len(unnamed)

    def merge(self, other: "Gathered") -> None:
        """Add what somebody else has gathered."""
        self.found += other.found
        self.tally.merge(other.tally)
        for folder, names in other.names.items():
            self.names.setdefault(folder, []).extend(names)
        self.unnamed += other.unnamed
        self.named += other.named
        self.size += other.size
