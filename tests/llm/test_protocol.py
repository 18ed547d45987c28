"""How samplings are given, and which are equal."""

import pytest

from valueflow.llm.protocol import Constraint, Sampling, one_each


def test_one_sampling_is_for_all_and_several_are_one_each() -> None:
    first, second = Sampling(max_tokens=1), Sampling(max_tokens=2)
    assert list(one_each(first, 3)) == [first, first, first]
    assert list(one_each((second, first), 2)) == [second, first]
    assert list(one_each(first, 0)) == list(one_each([], 0)) == []


@pytest.mark.parametrize("n", [0, 1, 3])
def test_another_number_of_samplings_is_told(n: int) -> None:
    with pytest.raises(ValueError, match=f"2 samplings for {n} conversations; give one each, or one for all"):
        one_each([Sampling(), Sampling()], n)


def test_equal_samplings_are_one_and_different_ones_are_several() -> None:
    schemas = ({"type": "object"}, {"type": "object"}, {"type": "string"}, None)
    samplings = [Sampling(constraint=Constraint("a", "root ::= [AB]", schema)) for schema in schemas]
    assert len(set(samplings)) == 3
    assert len({*samplings, Sampling(), Sampling(), Sampling(seed=1)}) == 5
