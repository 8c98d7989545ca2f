"""How a dataset was divided, in sentences for a Methods section: unit, assignment, undersampling, exclusions.

Each sentence says what the plan holds. What a plan does not hold, such as why volumes were excluded, is said to be
unknown. A plan is not trusted: of a member that is not there, nothing is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.model import EXTERNAL_RULES, SPLITS, PlanHeader
from planbalance.render.naming import reading_of_header
from planbalance.render.plan_facts import SplitFacts, in_several_splits
from planbalance.render.repair import repair_facts
from planbalance.text import counted

_TAGS: Final = {"StudyInstanceUID": "study", "FrameOfReferenceUID": "frame of reference"}
_PATIENTS_BY: Final = {"patient": "names", "map": "map", "slice-map": "slice-map"}


class SplitUnit(NamedTuple):
    """What is never divided.

    Attributes:
        noun: `patient`, `study`, `frame of reference`, `volume` or `image`.
        nouns: its plural.
        sources: where the units come from, in words; empty for volumes and images.
        patients_known: whether slices of one patient are together, as far as the sources are right.
        joined: sources that join volumes by their images, in words.
    """

    noun: str
    nouns: str
    sources: tuple[str, ...]
    patients_known: bool
    joined: tuple[str, ...]

    @property
    def grouped(self) -> bool:
        """Whether a unit may hold several volumes."""
        return bool(self.sources or self.joined)


def unit_of(header: PlanHeader) -> SplitUnit:
    """Return the unit that a plan, or a dataset as it was found, does not divide."""
    words = _source_words(header)
    joined = tuple(_JOINS[word] for word in words if word in _JOINS)
    told = [word for word in words if word not in _JOINS]
    sources = tuple(_SOURCES.get(word) or _of_header(word) for word in told)
    if told:
        tags = [_TAGS.get(word.partition(":")[2]) for word in told]
        noun = "patient" if None in tags else str(tags[0])
        return SplitUnit(noun, {"study": "studies"}.get(noun, _plural(noun)), sources, None in tags, joined)
    noun = "image" if header.naming.get("rule") == "image" else "volume"
    return SplitUnit(noun, _plural(noun), (), patients_known=False, joined=joined)


_JOINS: Final = {"identical": "share identical images", "look-alikes": "look alike"}
_SOURCES: Final = {
    "names": "the patient that file names show",
    "map": "a table of volumes and patients that the authors gave",
    "slice-map": "a table of slices that the authors gave",
}


def _plural(noun: str) -> str:
    return noun.replace("frame", "frames") if noun.startswith("frame") else f"{noun}s"


def _of_header(word: str) -> str:
    """Return a source such as `dicom:PatientID` in words."""
    kind, _, name = word.partition(":")
    if kind == "h5":
        return f"the attribute {name or 'patient_id'} of the .h5 files (stored as a keyed hash)"
    return f"{name or 'PatientID'} of the DICOM headers (stored as a keyed hash)"


def _source_words(header: PlanHeader) -> list[str]:
    """Return what `--group-from` would name: the sources of a plan's groups."""
    groups = header.parameters.get("groups")
    sources = groups.get("sources") if isinstance(groups, Mapping) else None
    if isinstance(sources, list | tuple) and sources:
        found = [one.get("source") for one in sources if isinstance(one, Mapping)]
        return [one for one in found if isinstance(one, str)]
    by = str(reading_of_header(header)["grouped_by"])
    told = header.parameters.get("group_from")
    words = [_PATIENTS_BY.get(one) or (told if isinstance(told, str) else one) for one in by.split("+")]
    words = [word for word in words if word != "volume"]
    joined = groups.get("joined_by_content") if isinstance(groups, Mapping) else None
    return [*words, "identical"] if joined else words


# ---- sentences ------------------------------------------------------------------------------------------------------


def level_sentences(header: PlanHeader, unit: SplitUnit, *, as_found: bool) -> Iterator[str]:
    """Yield the level at which splits are disjoint, how it was identified, and what that does not say."""
    if as_found:
        yield (
            "The dataset was divided before planbalance read it. At which level, and how, is not recorded; the table "
            "of checks says what its splits share."
        )
    elif unit.sources:
        yield f"The unit of the split was the {unit.noun}: all volumes of one {unit.noun} are in one split."
    elif unit.noun == "image":
        yield "The unit of the split was the single image: each image was taken for a volume of its own."
    else:
        yield "The unit of the split was the volume (all slices of one scan): all slices of a volume are in one split."
    yield _volumes_sentence(header)
    if unit.sources:
        nouns = unit.nouns.capitalize()
        yield f"{nouns} were identified by {' and '.join(unit.sources)}; whether that is right was not checked."
    if not unit.patients_known:
        yield f"Patients were not identified: whether two {unit.nouns} are of one patient was not checked."
    if unit.joined:
        yield f"Volumes that {' or '.join(unit.joined)} were kept together."


def _volumes_sentence(header: PlanHeader) -> str:
    rule, pattern = header.naming.get("rule"), header.naming.get("pattern")
    if rule in EXTERNAL_RULES:
        by = "a table of slices that the authors gave" if rule == "slice-map" else "SeriesInstanceUID of DICOM headers"
        return f"Volumes were identified by {by}."
    if rule == "image":
        return "Whether images are slices of one scan was not checked."
    told = f"rule {rule}, pattern {pattern}" if pattern else f"rule {rule}"
    return f"Volumes were identified by their file names ({told})."


def assignment_sentences(header: PlanHeader, unit: SplitUnit) -> Iterator[str]:
    """Yield how units were assigned to splits, and how near that is to what was wanted."""
    given = header.parameters
    repair = repair_facts(given)
    if repair is not None:
        kept = f"{' and '.join(repair.keep)} stayed as {'it was' if len(repair.keep) == 1 else 'they were'}; " * bool(
            repair.keep
        )
        yield f"An existing split that leaked was repaired: {kept}{repair.proof[0].lower()}{repair.proof[1:]}"
        return
    yield from _ratio_sentences(given, unit)
    yield from _fixed_sentences(given)
    stratify = [one for one in given.get("stratify") or () if isinstance(one, str)]
    if stratify:
        yield f"The values of {', '.join(stratify)} were balanced over the splits as far as whole {unit.nouns} allow."
    distance = header.targets.get("distance")
    if header.targets.get("exact"):
        yield "The targets of positive and of negative slices were met exactly."
    elif isinstance(distance, int):
        yield f"The targets of positive and of negative slices were missed by {counted(distance, 'slice')} in all."


def _ratio_sentences(given: Mapping[str, Any], unit: SplitUnit) -> Iterator[str]:
    told = ", ".join(f"{split} {given[f'{split}_ratio']}" for split in SPLITS if given.get(f"{split}_ratio"))
    fold = given.get("fold")
    if isinstance(fold, Mapping) and "leave_out" in fold:
        yield f"Test holds all {unit.nouns} with one value of {fold['leave_out']}; train and val share the others."
    elif isinstance(fold, Mapping):
        yield f"Test of a fold holds one of {fold.get('of')} parts of the {unit.nouns}; train and val share the others."
    how = (
        f"at random, to be near the ratios {told}"
        if given.get("split_method") == "random"
        else f"by an optimisation that comes near the ratios {told} for positive and for negative slices"
    )
    yield f"Whole {unit.nouns} were assigned {how} (seed {given.get('split_seed')})."


def _fixed_sentences(given: Mapping[str, Any]) -> Iterator[str]:
    kept = [split for split in given.get("keep_split") or () if split in SPLITS]
    if kept:
        yield f"The slices of {' and '.join(kept)} are those that the input already had there (a fixed split)."
    if isinstance(given.get("split_map"), int):
        yield f"The split of {counted(given['split_map'], 'volume')} was fixed by a table that the authors gave."
    if given.get("extend"):
        yield f"The split extends an older one (plan {given['extend']}), of which each volume kept its split."


def sampling_sentences(header: PlanHeader, splits: Sequence[SplitFacts], *, as_found: bool) -> Iterator[str]:
    """Yield what a positive slice is, where slices were left out by undersampling, and how."""
    given = header.parameters
    classes = given.get("positive_classes")
    named = ", ".join(_class_name(header, one) for one in classes) if isinstance(classes, list | tuple) else ""
    yield f"A slice is positive if its label holds an annotation{f' of {named}' if named else ''}."
    if as_found:
        yield "Whether slices were left out before is not known."
        return
    if repair_facts(given) is not None:
        yield "The repair undersampled no split."
        return
    dropped = [one for one in splits if one.dropped]
    if not dropped:
        yield "No slice was left out by undersampling: train, val and test keep their class balance."
        return
    for one in dropped:
        yield (
            f"Negative slices of {one.split} were undersampled{sampling_manner(header)}: {one.kept_negatives:,} of "
            f"{one.negatives:,} were kept, and no positive slice was left out."
        )
    others = [split for split in SPLITS if split not in {one.split for one in dropped}]
    yield f"{' and '.join(others).capitalize()} were not undersampled and keep their natural class balance."
    if given.get("gap"):
        yield f"Negatives within {counted(given['gap'], 'slice')} of a positive slice were not drawn."
    hard = given.get("always_keep")
    if isinstance(hard, Mapping) and hard.get("slices"):
        yield f"{counted(hard['slices'], 'negative slice')} that the authors named stayed in any case."


def sampling_manner(header: PlanHeader) -> str:
    """Return how negatives were chosen, to stand behind `undersampled`."""
    given = header.parameters
    wanted = given.get("negatives_per_positive")
    goal = f" to at most {wanted} for each positive slice" if wanted else ""
    how = "spread over volumes and slices" if given.get("sampling") == "spread" else "drawn at random"
    return f"{goal}, {how} (seed {given.get('sample_seed')})"


def _class_name(header: PlanHeader, one: object) -> str:
    names = header.names or ()
    return names[one] if isinstance(one, int) and 0 <= one < len(names) else f"class {one}"


def exclusion_sentences(header: PlanHeader) -> Iterator[str]:
    """Yield what was left out before the split, and how missing and invalid labels were handled."""
    given = header.parameters
    exclude = given.get("exclude")
    if isinstance(exclude, Mapping) and exclude.get("slices"):
        yield (
            f"{counted(exclude['slices'], 'slice')} "
            f"({counted(exclude.get('volumes') or 0, 'whole volume')}) were excluded before the split; the reasons "
            "are not recorded."
        )
    elif isinstance(exclude, Mapping):
        yield "No slice was excluded before the split. What was left out before, planbalance cannot know."
    missing = given.get("missing_label")
    if "missing_label" in given:
        yield {
            "skip": "Images without a label file were left out.",
            "error": "There was no image without a label file.",
        }.get(str(missing), "An image without a label file, if there was any, was taken as negative.")
    if given.get("invalid_label") == "skip":
        yield "Slices whose label is not valid were left out."
    elif given.get("invalid_label") == "keep":
        yield "Labels that are not valid were kept as they are."


def disjoint_sentence(header: PlanHeader, unit: SplitUnit) -> str:
    """Return what the plan itself shows of volumes and units in two splits: counted, not assumed."""
    volumes = in_several_splits((one.id, one.split) for one in header.volumes)
    told = _number(len(volumes), "volume", "volumes")
    if unit.grouped and unit.noun != "volume":
        groups = in_several_splits((one.group, one.split) for one in header.volumes)
        told += f" and {_number(len(groups), unit.noun, unit.nouns)}"
    return f"{told} in two splits"


def _number(number: int, noun: str, nouns: str) -> str:
    return counted(number, noun, nouns) if number else f"no {noun}"
