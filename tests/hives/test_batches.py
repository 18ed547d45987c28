import pickle
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.hives.data import NONE, Labels
from valueflow.hives.sampling import InterTheoryBatches, IntraTheoryBatches
from valueflow.run import InputError


def make_labels(texts):
    """Labels of (theory, paths, direction, individual, concept); paths are tuples of names."""
    depth = max((len(path) for _, paths, *_ in texts for path in paths), default=1)
    width = max((len(paths) for _, paths, *_ in texts), default=1) or 1
    numbers = {}
    paths = np.full((len(texts), width, depth), NONE)
    for i, (theory, own, *_) in enumerate(texts):
        for w, path in enumerate(own):
            for level in range(depth):
                paths[i, w, level] = numbers.setdefault((theory, *path[: level + 1]), len(numbers))
    theories, _, directions, individuals, concepts = zip(*texts, strict=True) if texts else [()] * 5
    columns = [np.array(column, dtype=np.int64) for column in (theories, directions, individuals, concepts)]
    names = tuple(f"theory {t}" for t in range(max(theories, default=0) + 1))
    return Labels(columns[0], paths, *columns[1:], names, tuple("/".join(map(str, name)) for name in numbers))


def random_labels(seed, n, theories, width, depth, values, ids=4):
    """Texts with up to `width` paths (some have none, some one twice), in trees of `values` branches."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(n):
        own = [
            tuple(rng.integers(0, values, rng.integers(1, depth + 1)).tolist())
            for _ in range(rng.integers(0, width + 1))
        ]
        direction = int(rng.choice(3, p=[0.6, 0.3, 0.1]))
        texts.append((int(rng.integers(theories)), own, direction, *rng.integers(-1, ids, 2).tolist()))
    return make_labels(texts)


def large_labels(n, seed=0, theories=4, values=30, ids=2000):
    """As many texts as wanted at once: one or two paths of three levels, common and rare values."""
    rng = np.random.default_rng(seed)
    theory = np.sort(rng.integers(0, theories, n))
    value = (values * rng.random((n, 2)) ** 2).astype(np.int64)
    value[rng.random(n) < 0.5, 1] = NONE
    whole = theory[:, None] * values + value
    paths = np.stack([whole // 10, 1000 + whole // 3, 2000 + whole], axis=2)
    paths[value == NONE] = NONE
    owners = np.where(rng.random((2, n)) < 0.7, (ids * rng.random((2, n)) ** 2).astype(np.int64), NONE)
    return Labels(theory, paths, rng.integers(0, 3, n), *owners, tuple("abcd"), ())


def alike_to(labels, row):
    """Which texts share a full path and the direction with a text, read from the definition; itself among them."""
    own = [path[-1] for path in labels.paths[row] if path[-1] != NONE]
    return np.isin(labels.paths[:, :, -1], own).any(axis=1) & (labels.directions == labels.directions[row])


def literal_reasons(labels):
    """Reason of each text that cannot be a query; the others have None."""
    reasons = []
    for row in range(len(labels)):
        alike = alike_to(labels, row)
        if not alike.any():
            reasons.append("without a path")
        elif alike.sum() < 2:
            reasons.append("alone with its path and direction")
        elif alike[labels.theories == labels.theories[row]].all():
            reasons.append("no negatives in its theory")
        else:
            reasons.append(None)
    return reasons


def check_blocks(labels, rows, queries, batch_size, most_queries, most_positives):
    """All that a hierarchical batch promises, but for what concerns the whole epoch."""
    inside = np.zeros(len(labels), dtype=bool)
    inside[rows] = True
    assert len(rows) == inside.sum() <= batch_size
    assert len(set(labels.theories[rows].tolist())) == 1
    assert 1 <= len(queries) <= most_queries
    begin = np.flatnonzero(np.isin(rows, queries))
    np.testing.assert_array_equal(rows[begin], queries)
    assert begin[0] == 0
    sizes = [batch_size // len(queries) + (i < batch_size % len(queries)) for i in range(len(queries))]
    assert min(sizes) >= batch_size // most_queries
    for query, block, size in zip(queries, np.split(rows, begin[1:]), sizes, strict=True):
        assert len(block) <= size
        own = set(labels.paths[query, :, -1].tolist()) - {NONE}
        alike = np.array(
            [
                bool(own & set(labels.paths[row, :, -1].tolist()))
                and labels.directions[row] == labels.directions[query]
                for row in block[1:]
            ],
            dtype=bool,
        )
        positives = alike.sum()
        assert positives <= most_positives
        assert alike[:positives].all()
        if positives < most_positives:
            assert inside[alike_to(labels, query)].all(), "a positive was left out"
        if len(block) < size:
            outside = (labels.theories == labels.theories[query]) & ~alike_to(labels, query)
            assert inside[outside].all(), "a negative was left out"


def equal(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("rows", "parts", "ids"))


shapes = {
    "seed": st.integers(0, 10**6),
    "n": st.integers(1, 60),
    "theories": st.integers(1, 3),
    "width": st.integers(1, 3),
    "depth": st.integers(1, 3),
    "values": st.integers(1, 3),
}


@settings(deadline=None, max_examples=examples(60))
@given(**shapes, data=st.data())
def test_every_batch_of_an_epoch_keeps_its_promises(seed, n, theories, width, depth, values, data):
    labels = random_labels(seed, n, theories, width, depth, values)
    batch_size = data.draw(st.integers(3, 30))
    queries = data.draw(st.integers(1, batch_size // 2))
    positives = data.draw(st.integers(1, min(batch_size // queries - 1, batch_size - 2)))
    chosen = {"batch_size": batch_size, "queries_per_batch": queries, "positives_per_query": positives, "seed": seed}
    reasons = literal_reasons(labels)
    usable = [row for row, reason in enumerate(reasons) if reason is None]
    if not usable:
        with pytest.raises(InputError, match=f"none of {n} texts can be a query"):
            IntraTheoryBatches(labels, **chosen)
        return
    sampler = IntraTheoryBatches(labels, **chosen)
    assert sampler.unusable == {reason: reasons.count(reason) for reason in reasons if reason is not None}
    assert len(sampler) == sampler.batches_per_epoch
    places = [(epoch, number) for epoch in (0, 5) for number in range(len(sampler))]
    found = {place: sampler.batch(*place) for place in places}
    for place, batch in found.items():
        assert (batch.parts == 0).all()
        assert (batch.ids == NONE).all()
        check_blocks(labels, batch.rows, sampler.queries_of(*place), batch_size, queries, positives)
    for epoch in (0, 5):
        served = np.concatenate([sampler.queries_of(epoch, number) for number in range(len(sampler))])
        assert sorted(served.tolist()) == usable
    # Another process, in another order.
    again = IntraTheoryBatches(labels, **chosen)
    for i in np.random.default_rng(seed).permutation(len(places)):
        assert equal(again.batch(*places[i]), found[places[i]])


@settings(deadline=None, max_examples=examples(40))
@given(**shapes, ids=st.integers(2, 12), batch_size=st.integers(16, 70), data=st.data())
def test_every_batch_of_stage_2_keeps_its_promises(seed, n, theories, width, depth, values, ids, batch_size, data):
    labels = random_labels(seed, n, theories, width, depth, values, ids)
    members = data.draw(st.integers(2, batch_size // 8))
    chosen = {"queries_per_batch": 3, "positives_per_query": 1, "members_per_id": members, "seed": seed}
    sizes = {id_: (labels.individuals == id_).sum() for id_ in set(labels.individuals.tolist()) - {NONE}}
    spans = {id_: len(set(labels.theories[labels.concepts == id_])) for id_ in set(labels.concepts.tolist()) - {NONE}}
    individuals = {id_ for id_, size in sizes.items() if size >= 2}
    concepts = {id_ for id_, span in spans.items() if span >= 2}
    reasons = literal_reasons(labels)
    if None not in reasons or len(individuals) < 2 or len(concepts) < 2:
        with pytest.raises(InputError):
            InterTheoryBatches(labels, batch_size=batch_size, **chosen)
        return
    sampler = InterTheoryBatches(labels, batch_size=batch_size, **chosen)
    counts = {reason: reasons.count(reason) for reason in reasons if reason is not None}
    if len(sizes) > len(individuals):
        counts["individual ids with a single text"] = len(sizes) - len(individuals)
    if len(spans) > len(concepts):
        counts["theory-anchor ids with texts of a single theory"] = len(spans) - len(concepts)
    assert sampler.unusable == counts

    places = [(epoch, number) for epoch in range(3) for number in range(len(sampler))]
    found = {place: sampler.batch(*place) for place in places}
    for place, batch in found.items():
        check_stage_2(labels, batch, sampler.hierarchical.queries_of(*place), batch_size, chosen)
    check_turns([set(batch.ids[batch.parts == 1].tolist()) for batch in found.values()], individuals)
    check_turns([set(batch.ids[batch.parts == 2].tolist()) for batch in found.values()], concepts)
    again = InterTheoryBatches(labels, batch_size=batch_size, **chosen)
    for i in np.random.default_rng(seed).permutation(len(places))[:10]:
        assert equal(again.batch(*places[i]), found[places[i]])


def check_stage_2(labels, batch, queries, batch_size, chosen):
    assert (np.diff(batch.parts) >= 0).all()
    hierarchical = batch.rows[batch.parts == 0]
    check_blocks(
        labels, hierarchical, queries, batch_size // 2, chosen["queries_per_batch"], chosen["positives_per_query"]
    )
    assert (batch.ids[batch.parts == 0] == NONE).all()
    for part, column in ((1, labels.individuals), (2, labels.concepts)):
        rows, ids = batch.rows[batch.parts == part], batch.ids[batch.parts == part]
        assert len(set(rows.tolist())) == len(rows) <= batch_size // 4
        np.testing.assert_array_equal(column[rows], ids)
        assert NONE not in ids
        drawn, counts = np.unique(ids, return_counts=True)
        assert len(drawn) >= 2
        there = np.array([(column == id_).sum() for id_ in drawn])
        wanted = np.minimum(there, chosen["members_per_id"])
        assert (counts >= 2).all()
        assert (counts <= wanted).all()
        assert counts.sum() == min(wanted.sum(), batch_size // 4)
        if part == 2:
            assert all(len(set(labels.theories[rows[ids == id_]])) >= 2 for id_ in drawn)


def test_a_text_of_several_concepts_is_drawn_by_each_and_stands_once():
    labels = large_labels(400, ids=12)
    rng = np.random.default_rng(2)
    others = np.where(rng.random(400) < 0.3, rng.integers(0, 12, 400), NONE)
    sets = np.stack([labels.concepts, others], axis=1)
    several = replace(labels, concept_sets=sets)
    chosen = {"queries_per_batch": 3, "positives_per_query": 2, "members_per_id": 3, "seed": 1}
    sampler = InterTheoryBatches(several, batch_size=64, **chosen)
    by_second = 0
    for epoch in range(6):
        for number in range(len(sampler)):
            batch = sampler.batch(epoch, number)
            rows, ids = batch.rows[batch.parts == 2], batch.ids[batch.parts == 2]
            assert len(set(rows.tolist())) == len(rows)
            assert (sets[rows] == ids[:, None]).any(axis=1).all()
            by_second += int((labels.concepts[rows] != ids).sum())
            for id_ in set(ids.tolist()):
                members = rows[(sets[rows] == id_).any(axis=1)]
                assert len(members) >= 2
                assert len(set(labels.theories[members].tolist())) >= 2
    assert by_second > 50


def check_turns(drawn, usable):
    """Ids are drawn in turns: each in every run of batches that a turn takes."""
    assert len({len(ids) for ids in drawn}) == 1
    length = -(-len(usable) // len(drawn[0]))
    for start in range(0, len(drawn) - length + 1, length):
        assert set().union(*drawn[start : start + length]) == usable


@pytest.mark.slow
def test_batches_of_200_000_texts_keep_their_promises():
    labels = large_labels(200_000)
    chosen = {"queries_per_batch": 16, "positives_per_query": 3, "seed": 3}
    first = IntraTheoryBatches(labels, batch_size=128, **chosen)
    second = InterTheoryBatches(labels, batch_size=256, members_per_id=4, **chosen)
    for number in np.random.default_rng(0).integers(0, len(first), 200):
        batch = first.batch(1, number)
        assert len(batch) == 128
        check_blocks(labels, batch.rows, first.queries_of(1, number), 128, 16, 3)
    for number in range(100, 300):
        batch = second.batch(0, number)
        assert ((batch.parts == 0).sum(), len(batch) >= 240) == (128, True)
        check_stage_2(labels, batch, second.hierarchical.queries_of(0, number), 256, {**chosen, "members_per_id": 4})
    served = np.concatenate([first.queries_of(1, number) for number in range(len(first))])
    assert len(np.unique(served)) == len(served) == len(labels) - sum(first.unusable.values())


def test_epochs_and_seeds_differ():
    labels = large_labels(3000)
    chosen = {"batch_size": 64, "queries_per_batch": 8, "positives_per_query": 3, "members_per_id": 2}
    sampler = InterTheoryBatches(labels, **chosen, seed=0)
    drawn = [sampler.batch(0, 0), sampler.batch(1, 0), sampler.batch(0, 1)]
    drawn += [InterTheoryBatches(labels, **chosen, seed=seed).batch(0, 0) for seed in (1, -1, 2**70)]
    for part in range(3):
        for one, other in combinations(drawn, 2):
            assert len(set(one.rows[one.parts == part]) & set(other.rows[other.parts == part])) < 12
    # Neither the order of the groups nor who meets in one.
    groups = [[frozenset(sampler.hierarchical.queries_of(e, n).tolist()) for n in range(len(sampler))] for e in (0, 1)]
    assert not set(groups[0]) & set(groups[1])


def test_a_sampler_can_be_sent_to_a_worker():
    sampler = InterTheoryBatches(
        large_labels(2000), batch_size=32, queries_per_batch=4, positives_per_query=2, members_per_id=2, seed=0
    )
    sampler.batch(3, 1)
    sent = pickle.loads(pickle.dumps(sampler))
    assert equal(sent.batch(2, 5), sampler.batch(2, 5))


def test_theories_follow_each_other_at_random():
    labels = large_labels(4000)
    sampler = IntraTheoryBatches(labels, batch_size=32, queries_per_batch=8, positives_per_query=2, seed=0)
    theories = [int(labels.theories[sampler.queries_of(0, number)[0]]) for number in range(len(sampler))]
    repeats = np.mean([a == b for a, b in pairwise(theories)])
    assert 0.1 < repeats < 0.4


def test_by_hand():
    # Two texts on one path, one beside them, and another theory that has nothing to set against its two.
    texts = [(0, [("a", "b")], 0), (0, [("a", "b")], 0), (0, [("a", "b")], 2), (1, [("a",)], 1), (1, [("a",)], 1)]
    labels = make_labels([(*text, NONE, NONE) for text in texts])
    sampler = IntraTheoryBatches(labels, batch_size=8, queries_per_batch=1, positives_per_query=4, seed=0)
    assert sampler.unusable == {"alone with its path and direction": 1, "no negatives in its theory": 2}
    assert len(sampler) == 2
    assert sorted(sampler.batch(0, number).rows.tolist() for number in (0, 1)) == [[0, 1, 2], [1, 0, 2]]
    sampler = IntraTheoryBatches(labels, batch_size=8, queries_per_batch=2, positives_per_query=1, seed=0)
    assert len(sampler) == 1
    # Each is the other's positive, and both are queries already; the one negative goes to either.
    assert sorted(sampler.batch(0, 0).rows.tolist()) == [0, 1, 2]
    for place in ((0, 1), (0, -1), (-1, 0)):
        with pytest.raises(IndexError, match="no batch"):
            sampler.batch(*place)


def test_texts_that_share_something_with_nearly_all_have_negatives():
    both = [("a",), ("b",)]
    texts = [*[(0, [("a",)], 0)] * 20, *[(0, [("b",)], 0)] * 20, (0, both, 0), (0, [("a",), ("c",)], 0)]
    labels = make_labels([(*text, NONE, NONE) for text in texts])
    chosen = {"batch_size": 8, "queries_per_batch": 1, "positives_per_query": 2, "seed": 0}
    assert IntraTheoryBatches(labels, **chosen).unusable == {"no negatives in its theory": 1}
    one_more = make_labels([(*text, NONE, NONE) for text in [*texts, (0, [("d",)], 0)]])
    assert IntraTheoryBatches(one_more, **chosen).unusable == {"alone with its path and direction": 1}


def test_a_rare_path_gets_its_share():
    common, rare = ("common",), ("rare",)
    texts = [(0, [common, rare], 0), *[(0, [common], 0)] * 60, *[(0, [rare], 0)] * 3, *[(0, [("other",)], 0)] * 4]
    labels = make_labels([(*text, NONE, NONE) for text in texts])
    sampler = IntraTheoryBatches(labels, batch_size=6, queries_per_batch=1, positives_per_query=1, seed=0)
    positives = []
    for epoch in range(300):
        number = next(n for n in range(len(sampler)) if sampler.queries_of(epoch, n)[0] == 0)
        positives.append(sampler.batch(epoch, number).rows[1])
    assert np.mean(np.array(positives) > 60) == pytest.approx(0.5, abs=0.09)
    assert set(positives) >= {61, 62, 63}


def test_members_and_their_pairs_come_equally_often():
    # One individual is followed. Its 60 members are more than are looked at in a batch; 60 has many divisors.
    size, draws, members_drawn = 60, 600, 8
    ids = [*[0] * size, 1, 1]
    labels = make_labels([(i % 2, [("v", i % 3)], 0, id_, id_) for i, id_ in enumerate(ids)])
    sampler = InterTheoryBatches(
        labels, batch_size=64, queries_per_batch=2, positives_per_query=1, members_per_id=members_drawn, seed=0
    )
    together = np.zeros((size, size))
    for place in range(draws):
        batch = sampler.batch(*divmod(place, len(sampler)))
        members = batch.rows[(batch.parts == 1) & (batch.ids == 0)]
        assert len(members) == members_drawn
        together[np.ix_(members, members)] += 1
    expected = draws * members_drawn / size
    assert np.abs(np.diag(together) - expected).max() < 4.5 * np.sqrt(expected)
    pairs = together[np.triu_indices(size, 1)]
    # Independent draws have a variance of about the mean.
    assert pairs.var() < 1.25 * pairs.mean()


def test_few_negatives_in_a_large_theory_are_found(monkeypatch):
    rng = np.random.default_rng(1)
    n = 8000
    strange = set(rng.choice(n, 12, replace=False).tolist())
    texts = []
    for i in range(n):
        own = [("rest", i % 3)] if i in strange else [("all",), ("some", int(rng.integers(20)))][: 1 + i % 2]
        texts.append((0, own, 0, NONE, NONE))
    labels = make_labels(texts)
    chosen = {"batch_size": 64, "queries_per_batch": 8, "positives_per_query": 3, "seed": 0}
    sampler = IntraTheoryBatches(labels, **chosen)
    assert sampler.unusable == {}
    found = []
    for number in range(30):
        found.append(sampler.batch(0, number))
        check_blocks(labels, found[-1].rows, sampler.queries_of(0, number), 64, 8, 3)
        assert {*found[-1].rows.tolist()} >= strange
    # What is kept changes the time alone.
    monkeypatch.setattr("valueflow.hives.sampling.negatives._KEPT_ROWS", 0)
    monkeypatch.setattr("valueflow.hives.sampling.negatives._KEPT_CELLS", 1)
    again = IntraTheoryBatches(labels.take(np.arange(n)), **chosen)
    for number in range(29, -1, -1):
        assert equal(again.batch(0, number), found[number])


def test_ids_with_many_members_give_some_up_to_keep_the_quarter():
    # Ten individuals of two texts and two of many: on average three members fill the quarter.
    ids = np.concatenate([np.repeat(np.arange(10), 2), np.full(40, 10), np.full(40, 11)])
    labels = make_labels([(i % 2, [("v", i % 3)], 0, int(id_), int(id_)) for i, id_ in enumerate(ids)])
    chosen = {"queries_per_batch": 2, "positives_per_query": 1, "members_per_id": 8, "seed": 0}
    sampler = InterTheoryBatches(labels, batch_size=64, **chosen)
    assert sampler.individuals_per_batch == sampler.concepts_per_batch == 5
    for epoch in range(3):
        for number in range(len(sampler)):
            check_stage_2(
                labels, sampler.batch(epoch, number), sampler.hierarchical.queries_of(epoch, number), 64, chosen
            )


ALL_ALIKE = make_labels([(0, [("a",)], 0, 0, 0)] * 5)
ALL_ALONE = make_labels([(0, [(i,)], 0, 0, 0) for i in range(4)] + [(0, [], 0, 0, 0)])
GOOD = large_labels(200, ids=10)


@pytest.mark.parametrize(
    ("labels", "wrong", "line"),
    [
        (GOOD, {"batch_size": 2, "queries_per_batch": 1}, "batch_size=2: a query, a positive and a negative need"),
        (GOOD, {"queries_per_batch": 9}, "anchors_per_batch=9 with batch_size=16: .* so 1 to 8"),
        (GOOD, {"queries_per_batch": 0}, "anchors_per_batch=0 with batch_size=16: .* so 1 to 8"),
        (GOOD, {"positives_per_query": 0}, "positives_per_anchor=0 with batch_size=16 and .* so 1 to 7"),
        (GOOD, {"positives_per_query": 8}, "positives_per_anchor=8 with batch_size=16 and .* so 1 to 7"),
        (GOOD, {"queries_per_batch": 1, "positives_per_query": 15}, "positives_per_anchor=15 .* so 1 to 14"),
        (GOOD.take(np.arange(0)), {}, "there is no text to make batches of"),
        (ALL_ALIKE, {}, r"none of 5 texts can be a query \(5 no negatives in its theory\); needed are"),
        (
            ALL_ALONE,
            {},
            r"none of 5 texts can be a query \(1 without a path, 4 alone with its path and direction\); needed are",
        ),
    ],
)
def test_what_makes_no_sense_in_stage_1(labels, wrong, line):
    right = {"batch_size": 16, "queries_per_batch": 2, "positives_per_query": 2, "seed": 0}
    with pytest.raises(InputError, match=line) as raised:
        IntraTheoryBatches(labels, **(right | wrong))
    assert "\n" not in str(raised.value)


def with_ids(individuals, concepts):
    return Labels(
        GOOD.theories, GOOD.paths, GOOD.directions, individuals, concepts, GOOD.theory_names, GOOD.prefix_names
    )


NO_IDS = np.full(200, NONE)


@pytest.mark.parametrize(
    ("labels", "wrong", "line"),
    [
        (GOOD, {"batch_size": 15}, "batch_size=15 is too small for stage 2: .* at least 16"),
        (GOOD, {"members_per_id": 1}, "members_per_id=1 with batch_size=32: .* so 2 to 4"),
        (GOOD, {"members_per_id": 5}, "members_per_id=5 with batch_size=32: .* so 2 to 4"),
        (GOOD, {"queries_per_batch": 9}, "anchors_per_batch=9 with a hierarchical half of 16 rows: .* so 1 to 8"),
        (GOOD, {"positives_per_query": 8}, "positives_per_anchor=8 with a hierarchical half of 16 rows .* 1 to 7"),
        (
            with_ids(NO_IDS, GOOD.concepts),
            {},
            "column selected_individual has 0 usable ids of 0; needed are at least two, with at least two texts each",
        ),
        (with_ids(np.arange(200), GOOD.concepts), {}, "column selected_individual has 0 usable ids of 200; "),
        (
            with_ids(np.zeros(200, dtype=np.int64), GOOD.concepts),
            {},
            "column selected_individual has 1 usable ids of 1; ",
        ),
        (
            with_ids(GOOD.individuals, GOOD.theories),
            {},
            "column selected_anchor has 0 usable ids of 4; needed are at least two, with texts of at least two theor",
        ),
    ],
)
def test_what_makes_no_sense_in_stage_2(labels, wrong, line):
    right = {"batch_size": 32, "queries_per_batch": 2, "positives_per_query": 2, "members_per_id": 2, "seed": 0}
    with pytest.raises(InputError, match=line) as raised:
        InterTheoryBatches(labels, **(right | wrong))
    assert "\n" not in str(raised.value)
