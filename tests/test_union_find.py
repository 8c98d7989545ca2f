"""Sets of names that grow as pairs are joined."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from planbalance.union_find import UnionFind

NAMES = st.sampled_from("abcdefgh")


def test_a_chain_of_pairs_is_one_set_in_whatever_order_the_pairs_come() -> None:
    for pairs in permutations((("a", "b"), ("c", "d"), ("b", "c"), ("x", "y"))):
        forest = UnionFind()
        for pair in pairs:
            forest.join(pair)
        assert forest.sets() == [("a", "b", "c", "d"), ("x", "y")]
        assert forest.root("a") == forest.root("d") != forest.root("x")


def test_a_name_that_was_never_joined_is_a_set_of_its_own() -> None:
    forest = UnionFind()
    forest.join(("a",))
    assert forest.root("never") == "never"
    assert forest.sets() == []


@given(st.lists(st.tuples(NAMES, NAMES)))
def test_two_names_have_one_root_exactly_if_pairs_connect_them(pairs: list[tuple[str, str]]) -> None:
    forest = UnionFind()
    connected = {name: {name} for name in "abcdefgh"}
    for left, right in pairs:
        forest.join((left, right))
        both = connected[left] | connected[right]
        for name in both:
            connected[name] = both
    assert all((forest.root(a) == forest.root(b)) == (b in connected[a]) for a in "abcdefgh" for b in "abcdefgh")
    assert forest.sets() == sorted({tuple(sorted(names)) for names in connected.values() if len(names) > 1})
