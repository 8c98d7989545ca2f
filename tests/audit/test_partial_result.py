from planbalance.audit.partial_result import PartialResult, packed
from planbalance.audit.trainer_loading import OpenedImage, trainer_outcome


def test_names_are_claimed_a_folder_at_a_time_in_whatever_batches() -> None:
    whole = PartialResult()
    for names in (("c.png", "d.png"), ("a.png", "b.png")):
        part = PartialResult()
        part.add_planned("images/train", names)
        part.add_planned_paths([f"labels/train/{name[0]}.txt" for name in names])
        whole.merge(part)
    whole.add_planned("images/val", [])
    assert {folder: sorted(names) for folder, names in whole.planned_names()} == {
        "images/train": ["a.png", "b.png", "c.png", "d.png"],
        "labels/train": ["a.txt", "b.txt", "c.txt", "d.txt"],
    }
    every = ["a.png", "b.png", "c.png", "d.png"]
    assert whole.are_all_of("images/train", packed(every))
    for other in (every[1:], [*every, "e.png"], ["a.png", "b.png", "c.png", "d2.png"], []):
        assert not whole.are_all_of("images/train", packed(other))
    assert whole.are_all_of("images/none", "")


def test_only_what_trainers_stumble_over_is_a_problem() -> None:
    box = b"0 0.5 0.5 0.1 0.1\n"
    result = PartialResult()
    fine = trainer_outcome("a.png", OpenedImage("PNG", 64, 64), box, 1)
    double = trainer_outcome("b.png", OpenedImage("PNG", 64, 64), box * 2, 1)
    tiny = trainer_outcome("c.png", OpenedImage("PNG", 4, 64), b"", 1)
    result.load("val", [("a.png", "a.txt", fine), ("b.png", "b.txt", double), ("c.png", "c.txt", tiny)])
    assert [(problem.kind, problem.path) for _, problem in result.found] == [
        ("duplicate-label", "b.txt"),
        ("unreadable", "c.png"),
    ]
    assert result.loads["Ultralytics", "val", "labelled"] == result.loads["YOLOv5", "val", "labelled"] == 2
    assert result.loads["YOLOv5", "val", "dropped"] == 1
