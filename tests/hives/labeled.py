"""Labels and embeddings that metrics are tested on, and what texts share read literally from their labels."""

import math

import numpy as np

from valueflow.hives.data import NONE, Labels

# Cosines of the small whole numbers used here are either equal or far further apart.
SAME = 1e-7


def make_labels(theories, paths, directions, concepts=None):
    """Labels from paths as tuples of names: one list of paths a text."""
    depth = max(len(path) for own in paths for path in own)
    width = max(len(own) for own in paths)
    numbers = {}
    array = np.full((len(paths), width, depth), NONE)
    for i, own in enumerate(paths):
        for w, path in enumerate(own):
            for level in range(depth):
                prefix = (f"t{theories[i]}", *path[: level + 1])
                array[i, w, level] = numbers.setdefault(prefix, len(numbers))
    nothing = np.full(len(paths), NONE)
    return Labels(
        np.array(theories, dtype=np.int64),
        array,
        np.array(directions, dtype=np.int64),
        nothing,
        nothing if concepts is None else np.array(concepts, dtype=np.int64),
        tuple(f"t{number}" for number in range(max(theories) + 1)),
        tuple("/".join(map(str, prefix)) for prefix in numbers),
    )


def case(seed, **given):
    """Random embeddings and labels; arguments as of `raw_case`."""
    embeddings, *raw = raw_case(seed, **given)
    return embeddings, make_labels(*raw)


def raw_case(seed, n=None, n_theories=2, width=None, depth=None, branches=2):
    """Random embeddings of small whole numbers, some equal, some zero; theories, paths, directions, concepts."""
    rng = np.random.default_rng(seed)
    n = n or int(rng.integers(1, 24))
    width, depth = width or int(rng.integers(1, 4)), depth or int(rng.integers(1, 5))
    paths = []
    for _ in range(n):
        own = []
        for _ in range(rng.integers(1, width + 1)):
            # Some paths end early; some texts name a path twice.
            length = depth if rng.random() < 0.8 else int(rng.integers(1, depth + 1))
            own.append(tuple(rng.integers(0, branches, length).tolist()))
        paths.append(own)
    theories = rng.integers(0, n_theories, n).tolist()
    directions, concepts = rng.integers(0, 3, n), rng.integers(-1, 3, n)
    embeddings = rng.integers(-2, 3, (n, 3)).astype(np.float64)
    copies = rng.random(n) < 0.3
    embeddings[copies] = embeddings[rng.integers(0, n, n)][copies]
    return embeddings, theories, paths, directions, concepts


def cosine(a, b):
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / length if length else 0.0


def prefixes(labels, i, level):
    return {int(number) for number in labels.paths[i, :, level] if number != NONE}


def shared(labels, i, j):
    return sum(bool(prefixes(labels, i, level) & prefixes(labels, j, level)) for level in range(labels.depth))


def same(labels, i, j):
    return bool(labels.directions[i] == labels.directions[j])


def category(labels, i, j):
    common = shared(labels, i, j)
    return common + (common == labels.depth and same(labels, i, j))


def mean(values):
    values = [value for value in values if value is not None]
    return (sum(values) / len(values) if values else None), len(values)
