import doctest
import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from valueflow.hives.data import NONE, agree
from valueflow.hives.losses import (
    BatchLabels,
    HierarchicalLoss,
    IdContrastiveLoss,
    InterTheoryObjective,
    IntraTheoryObjective,
    agreement,
)
from valueflow.hives.sampling import CONCEPT, HIERARCHICAL, INDIVIDUAL
from valueflow.run import InputError

KINDS = ("hmc", "hce", "hmce")
OPTIONS = {"temperature": 0.2, "base_temperature": 0.3, "direction_penalty": 0.7}


# The formulas, word for word, in float64 and without torch.


def literal_log_p(embeddings, i, j, temperature, penalty=0.0, directions=None):
    def similarity(a, b):
        za = embeddings[a] / math.sqrt(sum(x * x for x in embeddings[a]))
        zb = embeddings[b] / math.sqrt(sum(x * x for x in embeddings[b]))
        differs = directions is not None and directions[a] != directions[b]
        return float(za @ zb) / temperature - (penalty if differs else 0.0)

    return similarity(i, j) - math.log(sum(math.exp(similarity(i, k)) for k in range(len(embeddings)) if k != i))


def literal_mean_negative_log_likelihood(pairs, log_p, n):
    """Mean over the i that have positives of the mean over them of -log p; None where no i has any."""
    means = []
    for i in range(n):
        positives = [j for j in range(n) if j != i and pairs(i, j)]
        if positives:
            means.append(sum(-log_p(i, j) for j in positives) / len(positives))
    return sum(means) / len(means) if means else None


def literal_levels(embeddings, paths, directions, temperature, base_temperature, direction_penalty):
    n, _, depth = paths.shape
    levels = []
    for level in range(depth):

        def positive(i, j, level=level):
            meet = any(a == b != NONE for a in paths[i, :, level] for b in paths[j, :, level])
            return meet and directions[i] == directions[j]

        def log_p(i, j):
            return literal_log_p(embeddings, i, j, temperature, direction_penalty, directions)

        mean = literal_mean_negative_log_likelihood(positive, log_p, n)
        levels.append(None if mean is None else temperature / base_temperature * mean)
    return levels


def literal_hierarchical(levels, kind, held=None):
    """The loss and, per level, the highest level before it, which `held` replaces by given ones."""
    terms, before, highest = [], [], -math.inf
    for number, value in enumerate(levels, start=1):
        floor = highest if held is None else held[number - 1]
        before.append(floor)
        if value is None:
            continue
        if kind in ("hce", "hmce"):
            value = max(value, floor)
            highest = max(highest, value)
        terms.append(value * (2 ** (1 / number) if kind in ("hmc", "hmce") else 1))
    return (sum(terms) / len(terms) if terms else 0.0), before


def literal_by_id(embeddings, ids, temperature):
    mean = literal_mean_negative_log_likelihood(
        lambda i, j: ids[i] == ids[j] != NONE, lambda i, j: literal_log_p(embeddings, i, j, temperature), len(ids)
    )
    return 0.0 if mean is None else mean


def finite_differences(function, embeddings, step=1e-6):
    slopes = np.zeros_like(embeddings)
    for place in np.ndindex(embeddings.shape):
        ahead, behind = embeddings.copy(), embeddings.copy()
        ahead[place] += step
        behind[place] -= step
        slopes[place] = (function(ahead) - function(behind)) / (2 * step)
    return slopes


# Random batches.


def draw_paths(rng, n, width, depth, names=2):
    """Paths as `Labels` holds them: prefixes numbered, short ones repeat their last number, NONE fills up to W."""
    numbers = {}
    paths = np.full((n, width, depth), NONE, dtype=np.int64)
    for i in range(n):
        # From no path at all to W of them.
        for w in range(rng.integers(0 if width > 1 else 1, width + 1)):
            full = tuple(rng.integers(0, names, rng.integers(1, depth + 1)))
            for level in range(depth):
                paths[i, w, level] = numbers.setdefault(full[: level + 1], 10 + 3 * len(numbers))
    return paths


def draw(rng, n, width, depth, *, clustered=False, names=2):
    paths = draw_paths(rng, n, width, depth, names)
    embeddings = rng.normal(size=(n, 4)) * rng.uniform(0.2, 5.0, (n, 1))
    if clustered:
        # Near where the whole path agrees and far where only its beginning does: higher levels lose more.
        leaves = {leaf: rng.normal(size=4) * 4 for leaf in np.unique(paths[:, 0, -1])}
        embeddings = np.array([leaves[leaf] for leaf in paths[:, 0, -1]]) + 0.3 * embeddings
    return embeddings, paths, rng.integers(0, 3, n)


def tensors(embeddings, *labels):
    return (torch.tensor(embeddings, requires_grad=True), *(torch.as_tensor(label) for label in labels))


def apart(n, depth):
    """Paths of n texts that share nothing."""
    return np.arange(n * depth).reshape(n, 1, depth)


# Agreement.


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("width", [1, 2, 3, 12])
def test_agreement_is_that_of_the_labels(depth, width):
    rng = np.random.default_rng(depth * 20 + width)
    for n in (0, 1, 2, 17):
        nested = draw_paths(rng, n, width, depth)
        for paths in (nested, rng.integers(NONE, 4, (n, width, depth))):
            found = agreement(torch.as_tensor(paths))
            assert found.dtype == torch.bool
            np.testing.assert_array_equal(found.numpy(), agree(paths, paths))
            directions = rng.integers(0, 3, n)
            expected = agree(paths, paths) & (directions[:, None] == directions)
            np.testing.assert_array_equal(agreement(torch.as_tensor(paths), torch.as_tensor(directions)), expected)


def test_agreement_of_texts_without_paths():
    assert not agreement(torch.full((3, 2, 2), NONE)).any()
    assert not agreement(torch.zeros((3, 0, 2), dtype=torch.int64)).any()


# The hierarchical loss.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_hierarchical_loss_is_the_literal_one(kind, depth, width):
    rng = np.random.default_rng(depth * 10 + width)
    loss = HierarchicalLoss(kind, **OPTIONS)
    for n, clustered, names in ((2, False, 2), (5, False, 3), (9, True, 2), (9, False, 2), (12, True, 3)):
        embeddings, paths, directions = draw(rng, n, width, depth, clustered=clustered, names=names)
        expected, _ = literal_hierarchical(literal_levels(embeddings, paths, directions, **OPTIONS), kind)
        assert loss(*tensors(embeddings, paths, directions)).item() == pytest.approx(expected, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_the_design_s(kind):
    embeddings, paths, directions = draw(np.random.default_rng(3), 8, 2, 3)
    expected, _ = literal_hierarchical(literal_levels(embeddings, paths, directions, 0.1, 0.1, 1.0), kind)
    assert HierarchicalLoss(kind)(*tensors(embeddings, paths, directions)).item() == pytest.approx(expected, rel=1e-9)
    assert HierarchicalLoss().kind == "hmce"


def test_batches_cover_what_they_should():
    """The cases that the comparisons are for do occur: maxima that bind and that do not, levels without positives."""
    binding, free, missing = 0, 0, 0
    for depth in (2, 3, 4, 5):
        for width in (1, 2, 3):
            rng = np.random.default_rng(depth * 10 + width)
            for n, clustered, names in ((2, False, 2), (5, False, 3), (9, True, 2), (9, False, 2), (12, True, 3)):
                batch = draw(rng, n, width, depth, clustered=clustered, names=names)
                levels = literal_levels(*batch, **OPTIONS)
                _, before = literal_hierarchical(levels, "hce")
                missing += sum(level is None for level in levels)
                pairs = [(level, floor) for level, floor in zip(levels, before, strict=True) if level is not None]
                binding += sum(level < floor for level, floor in pairs)
                free += sum(level > floor > -math.inf for level, floor in pairs)
    assert min(binding, free, missing) > 10


def test_hierarchical_loss_by_hand():
    e = np.eye(2)
    embeddings, paths, directions = tensors(e[[0, 0, 1]], np.array([[[0]], [[0]], [[1]]]), np.array([0, 0, 2]))
    loss = HierarchicalLoss("hce", temperature=1.0, base_temperature=1.0, direction_penalty=0.5)
    assert loss(embeddings, paths, directions).item() == pytest.approx(math.log(1 + math.exp(-1.5)))
    # Another direction is no positive, whatever the path; the first two alone are left.
    paths[2] = 0
    assert loss(embeddings, paths, directions).item() == pytest.approx(math.log(1 + math.exp(-1.5)))
    # Level 1: all three agree. Level 2: the first two. l = 1 weighs 2, l = 2 weighs sqrt(2).
    paths, directions = torch.tensor([[[0, 1]], [[0, 1]], [[0, 2]]]), torch.zeros(3)
    near, far = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    top = (2 * (near + far) / 2 + math.log(2)) / 3
    for kind, expected in {
        "hmc": (2 * top + math.sqrt(2) * near) / 2,
        "hce": (top + top) / 2,
        "hmce": (2 * top + math.sqrt(2) * top) / 2,
    }.items():
        loss = HierarchicalLoss(kind, temperature=1.0, base_temperature=1.0)
        assert loss(embeddings, paths, directions).item() == pytest.approx(expected)


def test_a_missing_level_keeps_its_number():
    # Not what nested paths bring about, but the rule: level 1 has no positives, level 2 weighs 2^(1/2), and is averaged
    # over the levels that have.
    embeddings, paths, directions = tensors(
        np.eye(2)[[0, 0, 1]], np.array([[[0, 9]], [[1, 9]], [[2, 8]]]), np.zeros(3, int)
    )
    loss = HierarchicalLoss("hmce", temperature=1.0, base_temperature=1.0)
    assert loss(embeddings, paths, directions).item() == pytest.approx(math.sqrt(2) * math.log(1 + math.exp(-1)))
    # Missing in the middle, it hands on the maximum of the level before it to the one after.
    paths = torch.tensor([[[0, 1, 9]], [[5, 2, 9]], [[0, 3, 8]]])
    top = math.log(1 + math.exp(1)) / 2 + math.log(2) / 2
    assert loss(embeddings, paths, directions).item() == pytest.approx((2 + 2 ** (1 / 3)) / 2 * top)


@pytest.mark.parametrize("kind", KINDS)
def test_hierarchical_gradient_is_that_of_the_literal_loss_with_maxima_held(kind):
    bound = own = 0
    for seed, width, clustered in ((0, 1, True), (1, 1, True), (2, 2, True), (3, 3, False)):
        embeddings, paths, directions = draw(np.random.default_rng(seed), 8, width, 3, clustered=clustered)
        # A detached maximum is a constant to the gradient, so it is one to the differences too. Equal levels stand at
        # the kink, where differences would see half of each side: there the loss takes the level's own.
        levels = literal_levels(embeddings, paths, directions, **OPTIONS)
        _, held = literal_hierarchical(levels, kind)
        held = [
            floor if level is not None and level < floor else -math.inf
            for level, floor in zip(levels, held, strict=True)
        ]
        bound += sum(floor > -math.inf for floor in held)
        own += sum(level is not None for level in levels[1:]) - sum(floor > -math.inf for floor in held)

        def literal(moved, batch=(paths, directions, held)):
            return literal_hierarchical(literal_levels(moved, *batch[:2], **OPTIONS), kind, batch[2])[0]

        moving, *labels = tensors(embeddings, paths, directions)
        HierarchicalLoss(kind, **OPTIONS)(moving, *labels).backward()
        np.testing.assert_allclose(moving.grad.numpy(), finite_differences(literal, embeddings), rtol=1e-5, atol=1e-7)
    assert own
    assert bound or kind == "hmc"


def test_gradcheck():
    embeddings, paths, directions = draw(np.random.default_rng(5), 6, 2, 3)
    moving, *labels = tensors(embeddings, paths, directions)
    assert torch.autograd.gradcheck(lambda x: HierarchicalLoss("hmc", **OPTIONS)(x, *labels), moving)
    ids = torch.tensor([0, 0, 1, 1, NONE, 1])
    assert torch.autograd.gradcheck(lambda x: IdContrastiveLoss()(x, ids), moving)


def test_a_level_under_a_higher_loss_gives_no_gradient():
    embeddings, paths, directions = tensors(
        np.array([[1.0, 0.1], [1.0, -0.1], [0.3, 1.0]]), np.array([[[0, 1]], [[0, 1]], [[0, 2]]]), np.zeros(3, int)
    )
    both = HierarchicalLoss("hce")(embeddings, paths, directions)
    top = HierarchicalLoss("hce")(embeddings, paths[:, :, :1], directions)
    (from_both,) = torch.autograd.grad(both, embeddings)
    (from_top,) = torch.autograd.grad(top, embeddings)
    assert both.item() == pytest.approx(top.item())
    torch.testing.assert_close(from_both, from_top / 2)


@pytest.mark.parametrize("kind", ["hce", "hmce"])
def test_equal_levels_each_give_their_own_gradient(kind):
    # Paths of one level, repeated: no level is above another, so the maximum takes nothing away.
    embeddings, paths, directions = draw(np.random.default_rng(6), 8, 2, 1)
    moving, once, same = tensors(embeddings, paths, directions)
    weights = [2 ** (1 / level) if kind == "hmce" else 1 for level in (1, 2, 3)]
    (repeated,) = torch.autograd.grad(HierarchicalLoss(kind)(moving, once.repeat(1, 1, 3), same), moving)
    (single,) = torch.autograd.grad(HierarchicalLoss("hce")(moving, once, same), moving)
    assert single.abs().max() > 0
    torch.testing.assert_close(repeated, single * sum(weights) / 3)


# The loss by id.


@pytest.mark.parametrize("n", [2, 3, 6, 9])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_id_loss_is_the_literal_one(n, temperature):
    rng = np.random.default_rng(n)
    for groups in (1, 2, n):
        embeddings, ids = rng.normal(size=(n, 5)) * rng.uniform(0.2, 5.0, (n, 1)), rng.integers(NONE, groups, n)
        moving, numbers = tensors(embeddings, ids)
        value = IdContrastiveLoss(temperature)(moving, numbers)
        expected = literal_by_id(embeddings, ids, temperature)
        assert value.item() == pytest.approx(expected, abs=1e-9, rel=1e-9)
        value.backward()
        slopes = finite_differences(lambda moved, ids=ids: literal_by_id(moved, ids, temperature), embeddings)
        np.testing.assert_allclose(moving.grad.numpy(), slopes, rtol=1e-5, atol=1e-7)
    assert IdContrastiveLoss().temperature == 0.07


# Both: order, scale, precision, edges.


@settings(max_examples=examples(40))
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), kind=st.sampled_from(KINDS))
def test_row_order_and_lengths_do_not_matter_and_losses_are_not_negative(seed, n, kind):
    rng = np.random.default_rng(seed)
    embeddings, paths, directions = draw(rng, n, 2, 3)
    ids, order = rng.integers(NONE, 3, n), rng.permutation(n)
    hierarchical, by_id = HierarchicalLoss(kind), IdContrastiveLoss()
    plain = tensors(embeddings, paths, directions, ids)
    moved = tensors(
        embeddings[order] * rng.uniform(0.1, 9.0, (n, 1)), paths[order][:, ::-1].copy(), directions[order], ids[order]
    )
    first, second = hierarchical(*plain[:3]), hierarchical(*moved[:3])
    assert second.item() == pytest.approx(first.item(), rel=1e-9, abs=1e-12)
    assert first >= 0
    first, second = by_id(plain[0], plain[3]), by_id(moved[0], moved[3])
    assert second.item() == pytest.approx(first.item(), rel=1e-9, abs=1e-12)
    assert first >= 0
    assert by_id(plain[0].float(), plain[3]) >= 0


def test_texts_are_near_if_any_of_their_ids_agree() -> None:
    rng = np.random.default_rng(5)
    embeddings = rng.normal(size=(6, 4))
    sets = np.array([[0, 1], [1, NONE], [0, NONE], [2, NONE], [2, 1], [NONE, NONE]])
    near = [[bool(set(a) & set(b) - {NONE}) for b in sets.tolist()] for a in sets.tolist()]
    expected = literal_mean_negative_log_likelihood(
        lambda i, j: near[i][j], lambda i, j: literal_log_p(embeddings, i, j, 0.5), len(sets)
    )
    loss = IdContrastiveLoss(0.5)(*tensors(embeddings, sets))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def both_losses(embeddings, paths, directions, ids):
    yield from (HierarchicalLoss(kind)(embeddings, paths, directions) for kind in KINDS)
    yield IdContrastiveLoss()(embeddings, ids)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_without_positives_the_loss_is_zero_and_still_of_the_graph(n):
    moving, paths, directions, ids = tensors(np.ones((n, 3)), apart(n, 3), np.zeros(n, int), np.arange(n))
    no_paths, no_ids = torch.full_like(paths, NONE), torch.full_like(ids, NONE)
    for labels in ((paths, directions, ids), (no_paths, directions, no_ids)):
        for value in both_losses(moving, *labels):
            assert value.shape == ()
            assert value.item() == 0
            with torch.autograd.set_detect_anomaly(True):
                (gradient,) = torch.autograd.grad(value, moving)
            assert torch.equal(gradient, torch.zeros(n, 3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_hard_cases_stay_finite(dtype):
    rng = np.random.default_rng(8)
    duplicates = np.tile(rng.normal(size=(1, 6)), (8, 1))
    opposed = np.concatenate([duplicates[:4], -duplicates[:4]])
    cases = (duplicates, opposed, np.zeros((8, 6)), duplicates * 1e-4, duplicates * 1e3, duplicates[:2], duplicates[:1])
    for case in cases:
        n = len(case)
        _, paths, directions = draw(rng, n, 2, 3)
        for labels in ((paths, directions, np.arange(n) // 2), (np.zeros_like(paths),) + (np.zeros(n, int),) * 2):
            moving = torch.tensor(case, dtype=dtype, requires_grad=True)
            for value in both_losses(moving, *(torch.as_tensor(label) for label in labels)):
                assert value.dtype == torch.float32
                assert math.isfinite(value.item())
                with torch.autograd.set_detect_anomaly(True):
                    (gradient,) = torch.autograd.grad(value, moving)
                # Where the embedding is 0 its direction turns infinitely fast, beyond what 16 bits hold.
                assert not gradient.isnan().any()
                assert gradient.isfinite().all() or not case.any()


def test_duplicates_cost_the_logarithm_of_their_number():
    moving, paths, directions, ids = tensors(
        np.ones((5, 3), dtype=np.float32), np.zeros((5, 1, 2), int), np.zeros(5, int), np.zeros(5, int)
    )
    *_, by_id = both_losses(moving, paths, directions, ids)
    assert by_id.item() == pytest.approx(math.log(4), rel=1e-6)
    assert HierarchicalLoss("hce")(moving, paths, directions).item() == pytest.approx(math.log(4), rel=1e-6)


def test_float32_is_near_float64():
    rng = np.random.default_rng(9)
    embeddings, paths, directions = draw(rng, 200, 3, 4, clustered=True)
    exact, *labels = tensors(embeddings, paths, directions, rng.integers(NONE, 40, 200))
    single = exact.detach().float()
    for value, reference in zip(both_losses(single, *labels), both_losses(exact, *labels), strict=True):
        assert value.item() == pytest.approx(reference.item(), rel=2e-6)


def test_autocast_changes_nothing():
    rng = np.random.default_rng(10)
    embeddings, paths, directions = draw(rng, 30, 3, 4)
    _, *labels = tensors(embeddings, paths, directions, rng.integers(NONE, 6, 30))
    for dtype in (torch.float32, torch.bfloat16):
        moving = torch.tensor(embeddings, dtype=dtype, requires_grad=True)
        plain = list(both_losses(moving, *labels))
        with torch.autocast("cpu", torch.bfloat16):
            cast = list(both_losses(moving, *labels))
        for value, reference in zip(cast, plain, strict=True):
            assert value.dtype == torch.float32
            assert torch.equal(value, reference)
            pair = [torch.autograd.grad(each, moving, retain_graph=True)[0] for each in (value, reference)]
            assert torch.equal(*pair)
        rounded = list(both_losses(moving.detach().double(), *labels))
        for value, reference in zip(plain, rounded, strict=True):
            assert value.item() == pytest.approx(reference.item(), rel=1e-5)


# What the stages minimise.


def stage_batch(seed, sizes=(8, 5, 7)):
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    parts = rng.permutation(np.repeat([HIERARCHICAL, INDIVIDUAL, CONCEPT], sizes))
    embeddings, paths, directions = draw(rng, n, 2, 3)
    # The same numbers in both parts: an individual's id has nothing to do with an anchor's.
    ids = np.where(parts == HIERARCHICAL, NONE, rng.integers(0, 3, n))
    moving, *labels = tensors(embeddings, paths, directions, ids, parts)
    return embeddings, moving, BatchLabels(*labels)


def test_stage_1_is_the_hierarchical_loss_of_the_whole_batch():
    embeddings, moving, labels = stage_batch(0)
    for kind in KINDS:
        found = IntraTheoryObjective(HierarchicalLoss(kind, **OPTIONS))(moving, labels)
        levels = literal_levels(embeddings, labels.paths.numpy(), labels.directions.numpy(), **OPTIONS)
        assert set(found) == {"loss", "hierarchy"}
        for value in found.values():
            assert value.item() == pytest.approx(literal_hierarchical(levels, kind)[0], rel=1e-9)
    default = IntraTheoryObjective()(moving, labels)["loss"]
    assert torch.equal(default, HierarchicalLoss()(moving, labels.paths, labels.directions))


@pytest.mark.parametrize("kind", KINDS)
def test_stage_2_is_the_weighted_sum_of_the_literal_losses_of_its_parts(kind):
    embeddings, moving, labels = stage_batch(1)
    paths, directions, ids, parts = (
        each.numpy() for each in (labels.paths, labels.directions, labels.ids, labels.parts)
    )
    first, second, third = ([row for row in range(len(parts)) if parts[row] == part] for part in range(3))
    levels = literal_levels(embeddings[first], paths[first], directions[first], **OPTIONS)
    expected = {
        "hierarchy": literal_hierarchical(levels, kind)[0],
        "individual": literal_by_id(embeddings[second], ids[second], 0.07),
        "anchor": literal_by_id(embeddings[third], ids[third], 0.07),
    }
    assert min(expected.values()) > 0
    for weights in ((0.5, 1.0), (0.0, 2.0)):
        total = expected["hierarchy"] + weights[0] * expected["individual"] + weights[1] * expected["anchor"]
        objective = InterTheoryObjective(
            HierarchicalLoss(kind, **OPTIONS), individual_weight=weights[0], concept_weight=weights[1]
        )
        found = {name: value.item() for name, value in objective(moving, labels).items()}
        assert found == pytest.approx(expected | {"loss": total}, rel=1e-9)
    default = InterTheoryObjective()
    assert (default.individual_weight, default.concept_weight) == (0.5, 1.0)
    assert (default.hierarchy.kind, default.contrastive.temperature) == ("hmce", 0.07)


def test_each_loss_of_stage_2_sees_its_own_part_alone():
    embeddings, moving, labels = stage_batch(2)
    objective = InterTheoryObjective()
    found = objective(moving, labels)
    rng = np.random.default_rng(0)
    names = {HIERARCHICAL: "hierarchy", INDIVIDUAL: "individual", CONCEPT: "anchor"}
    for part, name in names.items():
        here = (labels.parts == part).numpy()
        changed = np.where(here[:, None], rng.normal(size=embeddings.shape), embeddings)
        ids = torch.where(labels.parts == part, labels.ids, labels.ids + 5)
        after = objective(torch.tensor(changed), labels)
        renumbered = objective(moving, BatchLabels(labels.paths, labels.directions, ids, labels.parts))
        for other in names.values():
            assert torch.equal(after[other], found[other]) == (other != name)
            assert torch.equal(renumbered[other], found[other])
        (gradient,) = torch.autograd.grad(found[name], moving, retain_graph=True)
        np.testing.assert_array_equal(gradient.abs().sum(dim=1).numpy() > 0, here & (gradient != 0).any(1).numpy())
        assert (gradient != 0).any()


def test_row_order_does_not_matter_to_the_stages():
    _, moving, labels = stage_batch(3)
    order = torch.tensor(np.random.default_rng(0).permutation(len(labels)))
    shuffled = BatchLabels(labels.paths[order], labels.directions[order], labels.ids[order], labels.parts[order])
    for objective in (IntraTheoryObjective(), InterTheoryObjective()):
        before, after = objective(moving, labels), objective(moving[order], shuffled)
        for name, value in before.items():
            torch.testing.assert_close(after[name], value)


@pytest.mark.parametrize("sizes", [(8, 0, 0), (0, 6, 0), (0, 0, 6), (1, 1, 1), (0, 0, 0)])
def test_parts_may_be_empty(sizes):
    _, moving, labels = stage_batch(4, sizes)
    found = InterTheoryObjective()(moving, labels)
    for size, name in zip(sizes, ("hierarchy", "individual", "anchor"), strict=True):
        assert (found[name].item() > 0) == (size > 1)
        (gradient,) = torch.autograd.grad(found[name], moving, retain_graph=True)
        assert gradient.isfinite().all()
    found["loss"].backward()
    assert moving.grad.isfinite().all()


def test_labels_go_to_a_device():
    _, _, labels = stage_batch(5)
    moved = labels.to("meta")
    assert {each.device.type for each in (moved.paths, moved.directions, moved.ids, moved.parts)} == {"meta"}
    assert [each.shape for each in (moved.paths, moved.ids)] == [labels.paths.shape, labels.ids.shape]
    assert torch.equal(labels.to(torch.device("cpu")).paths, labels.paths)


def test_what_cannot_be_right_is_refused():
    with pytest.raises(InputError, match="loss is 'supcon'; Known: hmc, hce, hmce"):
        HierarchicalLoss("supcon")
    for options in ({"temperature": 0.0}, {"base_temperature": -1.0}, {"temperature": math.nan}):
        with pytest.raises(InputError, match="temperature must be above zero, got"):
            HierarchicalLoss(**options)
    with pytest.raises(InputError, match="direction_penalty must not be below zero, got -1"):
        HierarchicalLoss(direction_penalty=-1.0)
    with pytest.raises(InputError, match="temperature must be above zero, got inf"):
        IdContrastiveLoss(math.inf)
    with pytest.raises(InputError, match="anchor_weight must not be below zero"):
        InterTheoryObjective(concept_weight=-0.1)
    moving, paths, directions = tensors(np.ones((3, 2)), apart(3, 2), np.zeros(3, int))
    with pytest.raises(ValueError, match="of the same texts, got lengths 3, 3, 1"):
        HierarchicalLoss()(moving, paths, directions[:1])
    with pytest.raises(ValueError, match="of the same texts"):
        IdContrastiveLoss()(moving, directions[:1])
    with pytest.raises(ValueError, match="of the same texts"):
        BatchLabels(paths, directions, directions, directions[:1])
    with pytest.raises(ValueError, match="parts must be 0, 1 or 2"):
        InterTheoryObjective()(moving, BatchLabels(paths, directions, directions, torch.tensor([0, 1, 3])))


def test_examples_run():
    modules = {sys.modules[loss.__module__] for loss in (HierarchicalLoss, IdContrastiveLoss, InterTheoryObjective)}
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) > 10
    assert sum(result.failed for result in results) == 0
