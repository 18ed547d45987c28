"""A summary as one row of figures."""

from hypothesis import given
from hypothesis import strategies as st

from valueflow.run import flattened


def test_nested_figures_get_dotted_names_in_order() -> None:
    summary = {"mean": 1.5, "reliability": {"kendall_tau": 0.9, "deep": {"er": 1}}, "timings": {"total": 2}}
    assert list(flattened(summary).items()) == [
        ("mean", 1.5),
        ("reliability.kendall_tau", 0.9),
        ("reliability.deep.er", 1),
        ("timings.total", 2),
    ]


def test_what_is_no_figure_to_compare_is_left_out() -> None:
    summary = {"n": 3, "failures": {"no answer": 1}, "versions": {"python": "3"}, "settings": {"k": 6}, "empty": {}}
    assert flattened(summary) == {"n": 3}


def test_what_stands_in_a_list_is_told_by_name_or_number() -> None:
    judges = [{"name": "phi-4", "kendall_tau": 0.9, "failures": {"cut": 1}}, {"name": "b", "kendall_tau": 0.5}]
    summary = {"judges": judges, "judge": {"members": [{"kind": "llm"}, {"kind": "embedding"}]}, "labels_only": ["x"]}
    assert flattened(summary) == {
        "judges.phi-4.kendall_tau": 0.9,
        "judges.b.kendall_tau": 0.5,
        "judge.members.1.kind": "llm",
        "judge.members.2.kind": "embedding",
        "labels_only": ["x"],
    }


NAMES = st.text("abcdef", min_size=1)


@given(
    st.recursive(
        st.dictionaries(NAMES, st.integers(), max_size=4),
        lambda inner: st.dictionaries(NAMES, inner | st.integers(), max_size=4),
        max_leaves=10,
    )
)
def test_every_figure_is_kept_under_its_path(summary: dict[str, object]) -> None:
    row = flattened(summary)
    assert not any(isinstance(entry, dict) for entry in row.values())
    for path, entry in row.items():
        node: object = summary
        for key in path.split("."):
            node = node[key]  # type: ignore[index]
        assert node == entry
