"""Batches that teach: anchors with what is like them and what is not, and ids with several members each.

A batch is a pure function of seed, epoch and number: nothing is carried from one batch to the next, so that a resumed
run, several processes and the workers of a loader all see the same. Texts are drawn from lists that are made once (the
texts of a theory, of a cell, of an id), through windows whose length depends on the batch and never on the list: so a
batch of a million texts costs what one of ten thousand does. A cell is a full path together with a direction.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat

import numpy as np

from valueflow.hives.labels import DIRECTIONS, NONE, BoolArray, IntArray, Labels
from valueflow.run import InputError

HIERARCHICAL, INDIVIDUAL, THEORY_ANCHOR = 0, 1, 2
"""Codes of a batch's parts."""

WITHOUT_PATH = "without a path"
ALONE = "alone with its path and direction"
NO_NEGATIVES = "no negatives in its theory"
LONE_INDIVIDUALS = "individual ids with a single text"
ONE_THEORY_ANCHORS = "theory-anchor ids with texts of a single theory"
"""Why texts cannot be anchors, and ids cannot be drawn."""

# A window holds a few more rows than are needed, since some of them will be taken or will not do.
_SPARE = 8

# Exact lists of negatives are kept up to this many rows together, or as many as there are texts.
_KEPT_ROWS = 2**20

# Cells for which the texts outside them are kept. Only cells with a good part of their theory are ever asked for.
_KEPT_CELLS = 32

# Numbers in one comparison of many texts with many, while the lists are made.
_COMPARED_AT_ONCE = 2**22

# First words of a random stream's seed, so that no two uses share a stream.
_EPOCH_STREAM, _BATCH_STREAM, _PASS_STREAM, _MEMBER_STREAM = range(4)


@dataclass(frozen=True, eq=False)
class Batch:
    """The texts of a batch.

    Attributes
    ----------
    rows
        (B,) row numbers in the labels. A row stands once in a part, and may stand in several parts.
    parts
        (B,) part that each row is drawn for: 0 hierarchical, 1 individual, 2 theory anchor; ascending.
    ids
        (B,) individual id in part 1, theory-anchor id in part 2, `NONE` in part 0.
    """

    rows: IntArray
    parts: IntArray
    ids: IntArray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class _Lists:
    """Lists of rows, one behind the other: list i is `rows[starts[i] : starts[i + 1]]`."""

    rows: IntArray
    starts: IntArray

    @classmethod
    def by_key(cls, keys: IntArray, rows: IntArray, n: int) -> "_Lists":
        """Put each row on the list 0..n-1 that its key names, in the order given."""
        return cls(rows[np.argsort(keys, kind="stable")], _starts(np.bincount(keys, minlength=n)))

    @property
    def lengths(self) -> IntArray:
        return np.diff(self.starts)

    def of(self, number: int) -> IntArray:
        return self.rows[self.starts[number] : self.starts[number + 1]]


class IntraTheoryBatches:
    """Batches of one theory each: anchors, texts of the same path and direction, and negatives.

    A batch holds up to `anchors_per_batch` anchors, each with a block of rows: first the anchor, then up to
    `positives_per_anchor` other texts that share a full path and the direction with it, then negatives: texts of the
    same theory that share no full path with it, or not the direction. No row appears twice. "Up to" is as many as there
    are outside the batch; where a theory is too small to fill the blocks, the batch is as large as it can be: no text
    that is left out would fit in any block.

    The blocks share `batch_size` evenly: `batch_size // anchors_per_batch` rows in a full batch, more where a theory's
    anchors do not come out even (they are spread over its batches as evenly as they can be). For each positive one of
    the anchor's paths is drawn first, so that a rare path gets its share beside a common one.

    In an epoch every usable text is an anchor exactly once. A text without a positive, or without a negative, is none
    but serves the others; `unusable` counts them.

    Parameters
    ----------
    labels
        Labels of N texts.
    batch_size
        Most rows of a batch.
    anchors_per_batch
        Most anchors of a batch, at most half of `batch_size`.
    positives_per_anchor
        Most positives of a block. They fit in the block, and leave room for at least one negative in the batch.
    seed
        Any integer. Another seed gives other batches.

    Attributes
    ----------
    unusable : dict
        Reason to number of texts that cannot be anchors for it.

    Raises
    ------
    InputError
        Where a setting makes no sense, or no text can be an anchor.
    """

    def __init__(
        self, labels: Labels, *, batch_size: int, anchors_per_batch: int, positives_per_anchor: int, seed: int
    ) -> None:
        _check_blocks(batch_size, anchors_per_batch, positives_per_anchor, f"batch_size={batch_size}")
        if not len(labels):
            raise InputError("there is no text to make batches of; needed are texts with their paths and directions")
        self.batch_size = batch_size
        self.positives_per_anchor = positives_per_anchor
        self.seed = seed
        self._theories = labels.theories
        self._cells, self._by_cell = _cells_of(labels)
        self._by_theory = _Lists.by_key(labels.theories, np.arange(len(labels)), len(labels.theory_names))
        self._listed = _Lists(np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)), dict[bytes, int]()
        self._outside_kept: dict[int, IntArray] = {}

        usable, self.unusable = self._usable()
        self._anchors = self._by_theory.rows[usable[self._by_theory.rows]]
        per_theory = np.bincount(labels.theories[self._anchors], minlength=len(labels.theory_names))
        self._theory_starts = _starts(per_theory)
        self._group_starts = _even_groups(per_theory, anchors_per_batch)
        self._plan: tuple[int, IntArray, IntArray] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in which every usable text is an anchor once; the same in all epochs."""
        return len(self._group_starts) - 1

    def __len__(self) -> int:
        return self.batches_per_epoch

    def anchors_of(self, epoch: int, number: int) -> IntArray:
        """Return the rows that are anchors in a batch, in the order of their blocks; arguments as in `batch`."""
        _check_place(epoch, number, len(self))
        anchors, groups = self._epoch(epoch)
        group = groups[number]
        return anchors[self._group_starts[group] : self._group_starts[group + 1]].copy()

    def batch(self, epoch: int, number: int) -> Batch:
        """Draw a batch.

        Parameters
        ----------
        epoch, number
            From 0; `number` is below `batches_per_epoch`.

        Returns
        -------
        Batch
            All of part 0. The rows stand block by block, each block behind its anchor.

        Raises
        ------
        IndexError
            Where there is no such batch.
        """
        anchors = self.anchors_of(epoch, number)
        rng = _stream(self.seed, _BATCH_STREAM, epoch, number)
        n = anchors.size
        room = self.batch_size // n + (np.arange(n) < self.batch_size % n) - 1

        owners, positives = self._positives(anchors, rng)
        room -= np.bincount(owners, minlength=n)
        others, negatives = self._negatives(anchors, room, np.concatenate([anchors, positives]), rng)

        blocks = np.argsort(np.concatenate([np.arange(n), owners, others]), kind="stable")
        rows = np.concatenate([anchors, positives, negatives])[blocks]
        return Batch(rows, np.full(rows.size, HIERARCHICAL), np.full(rows.size, NONE))

    def _epoch(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Anchors, shuffled within their theories, and the order of their groups."""
        plan = self._plan
        if plan is None or plan[0] != epoch:
            rng = _stream(self.seed, _EPOCH_STREAM, epoch, 0)
            anchors = self._anchors.copy()
            for theory in range(len(self._theory_starts) - 1):
                rng.shuffle(anchors[self._theory_starts[theory] : self._theory_starts[theory + 1]])
            # Set at once, so that a thread that asks for another epoch cannot mix two.
            self._plan = plan = (epoch, anchors, rng.permutation(len(self)))
        return plan[1], plan[2]

    def _positives(self, anchors: IntArray, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw the positives of all anchors: whose each is, and its row."""
        owners, paths = np.nonzero(self._cells[anchors] != NONE)
        cells = self._cells[anchors[owners], paths]
        starts, lengths = self._by_cell.starts[cells], self._by_cell.starts[cells + 1] - self._by_cell.starts[cells]
        need = np.full(anchors.size, self.positives_per_anchor)
        # Fewer rows than `batch_size` are ever taken, so a window of that many holds a free one if its cell does.
        pools = _Lists(self._by_cell.rows, starts)
        first = (2 * self.positives_per_anchor + _SPARE,)
        return _assign(pools, lengths, owners, need, anchors, rng, first=first, last=self.batch_size)

    def _negatives(
        self, anchors: IntArray, need: IntArray, taken: IntArray, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Draw what fills the blocks: whose each negative is, and its row."""
        n = anchors.size
        own = self._cells[anchors]
        theory = self._theories[anchors[0]]
        start, stop = self._by_theory.starts[theory], self._by_theory.starts[theory + 1]

        def differ(owners: IntArray, rows: IntArray) -> BoolArray:
            return ~_share(own[owners], self._cells[rows])

        block = int(need.max()) + 1
        pools = _Lists(self._by_theory.rows, np.full(n, start))
        first = (block + block // 4 + _SPARE, 2 * block + _SPARE, 16 * block)
        owners, rows = _assign(
            pools, np.full(n, stop - start), np.arange(n), need, taken, rng, first=first, last=None, fits=differ
        )
        missing = need - np.bincount(owners, minlength=n)
        short = np.flatnonzero(missing)
        if not short.size:
            return owners, rows
        # The theory is small, or nearly all of it is like the anchor: what is not has to be listed to be found.
        lists, numbers = self._list_negatives(anchors[short])
        pools = _Lists(lists.rows, lists.starts[numbers])
        taken = np.concatenate([taken, rows])
        more, further = _assign(
            pools, lists.lengths[numbers], short, missing, taken, rng, first=(), last=self.batch_size
        )
        return np.concatenate([owners, more]), np.concatenate([rows, further])

    def _list_negatives(self, rows: IntArray) -> tuple[_Lists, IntArray]:
        """List for each row every text of its theory that shares none of its cells: lists, and which is whose.

        Lists are kept, one for all texts of the same cells. What is kept changes the time, never the result.
        """
        kept, numbers = self._listed
        kinds, first, kind_of = np.unique(self._cells[rows], axis=0, return_index=True, return_inverse=True)
        keys = [kind.tobytes() for kind in kinds]
        if not all(key in numbers for key in keys):
            if len(kept.rows) > max(_KEPT_ROWS, len(self._cells)):
                kept, numbers = _Lists(kept.rows[:0], kept.starts[:1]), {}
            new = {key: self._negatives_of(rows[at]) for key, at in zip(keys, first, strict=True) if key not in numbers}
            numbers = numbers | {key: len(numbers) + i for i, key in enumerate(new)}
            lengths = np.concatenate([kept.lengths, [len(listed) for listed in new.values()]]).astype(np.int64)
            kept = _Lists(np.concatenate([kept.rows, *new.values()]), _starts(lengths))
            self._listed = kept, numbers
        return kept, np.array([numbers[key] for key in keys])[kind_of.ravel()]

    def _negatives_of(self, row: int) -> IntArray:
        """List every text of the row's theory that shares none of its cells."""
        cells = self._cells[row]
        sizes = np.append(self._by_cell.lengths, 0)[cells]
        rest = self._outside(int(cells[sizes.argmax()]))
        return rest[~_share(np.broadcast_to(cells, (rest.size, cells.size)), self._cells[rest])]

    def _outside(self, cell: int) -> IntArray:
        """List the texts of a cell's theory that are not in it."""
        found = self._outside_kept.get(cell)
        if found is None:
            members = self._by_cell.of(cell)
            everyone = self._by_theory.of(self._theories[members[0]])
            found = everyone[~np.isin(everyone, members, assume_unique=True)]
            if len(self._outside_kept) >= _KEPT_CELLS:
                self._outside_kept.clear()
            self._outside_kept[cell] = found
        return found

    def _usable(self) -> tuple[BoolArray, dict[str, int]]:
        """Tell which texts can be anchors, and count the others by reason."""
        sizes = np.append(self._by_cell.lengths, 0)[self._cells]
        pathless = (self._cells == NONE).all(axis=1)
        alone = ~pathless & (sizes.max(axis=1, initial=0) < 2)
        surrounded = self._surrounded(~pathless & ~alone, sizes)
        counts = {WITHOUT_PATH: pathless, ALONE: alone, NO_NEGATIVES: surrounded}
        unusable = {reason: int(rows.sum()) for reason, rows in counts.items() if rows.any()}
        usable = ~(pathless | alone | surrounded)
        if not usable.any():
            found = ", ".join(f"{count} {reason}" for reason, count in unusable.items())
            raise InputError(
                f"none of {len(self._cells)} texts can be an anchor ({found}); needed are, in one theory, two texts "
                "with the same path and direction and a third with another path or direction"
            )
        return usable, unusable

    def _surrounded(self, among: BoolArray, sizes: IntArray) -> BoolArray:
        """Tell which of the texts share a cell with every text of their theory.

        Sizes are those of each text's cells. Only where they add up to the theory can that be; there, one cell is a
        good part of the theory, and the texts outside it are compared until one is found that shares nothing.
        """
        result = np.zeros(among.size, dtype=bool)
        suspects = np.flatnonzero(among & (sizes.sum(axis=1) >= self._by_theory.lengths[self._theories]))
        largest = np.take_along_axis(self._cells[suspects], sizes[suspects].argmax(axis=1)[:, None], axis=1)[:, 0]
        for cell in np.unique(largest):
            rows = suspects[largest == cell]
            kinds, kind_of = np.unique(self._cells[rows], axis=0, return_inverse=True)
            outside = self._cells[self._outside(int(cell))]
            left, position, step = np.arange(len(kinds)), 0, 4
            while left.size and position < len(outside):
                others = outside[position : position + step]
                shared = _share(kinds[left].repeat(len(others), axis=0), np.tile(others, (left.size, 1)))
                left = left[shared.reshape(left.size, -1).all(axis=1)]
                position += step
                step = max(4, min(2 * step, _COMPARED_AT_ONCE // max(left.size, 1)))
            result[rows] = np.isin(kind_of.ravel(), left)
        return result


class InterTheoryBatches:
    """Batches of stage 2: half of one theory as in stage 1, a quarter of individuals, a quarter of theory anchors.

    The hierarchical half is a batch of `IntraTheoryBatches` with half the rows. Each quarter holds several ids, at
    least two, with two to `members_per_id` different members each; the members of a theory anchor come from at least
    two theories, one after the other from each that it has. How many ids a batch holds is the same in all batches: as
    many as fill the quarter on average. Where they would fill more, those with most members give some up.

    All usable ids are drawn in turn: they are shuffled and cut into batches, and shuffled anew once all have been
    drawn, be that before or after an epoch ends (the last batch of a turn is filled with the turn's first ids). So each
    id comes about equally often, however many members it has.

    Parameters
    ----------
    labels
        Labels of N texts.
    batch_size
        Most rows of a batch, at least 16.
    anchors_per_batch, positives_per_anchor
        As in `IntraTheoryBatches`, for the hierarchical half.
    members_per_id
        Most members of an id in a batch: at least 2, and at most half of a quarter.
    seed
        Any integer. Another seed gives other batches.

    Attributes
    ----------
    hierarchical : IntraTheoryBatches
        Where the first half comes from. An epoch is one of its epochs.
    individuals_per_batch, anchor_ids_per_batch : int
        How many ids the two quarters hold.
    unusable : dict
        Reason to number of texts that cannot be anchors, or of ids that cannot be drawn, for it.

    Raises
    ------
    InputError
        Where a setting makes no sense, no text can be an anchor, or fewer than two individuals or theory anchors can be
        drawn.
    """

    def __init__(
        self,
        labels: Labels,
        *,
        batch_size: int,
        anchors_per_batch: int,
        positives_per_anchor: int,
        members_per_id: int,
        seed: int,
    ) -> None:
        quarter = batch_size // 4
        if quarter < 4:
            raise InputError(
                f"batch_size={batch_size} is too small for stage 2: a quarter of it holds two ids with two members "
                "each, so at least 16"
            )
        if not 2 <= members_per_id <= quarter // 2:
            raise InputError(
                f"members_per_id={members_per_id} with batch_size={batch_size}: a quarter of the batch holds several "
                f"ids, with at least two members each, so 2 to {quarter // 2}"
            )
        half = batch_size // 2
        _check_blocks(half, anchors_per_batch, positives_per_anchor, f"a hierarchical half of {half} rows")
        self.hierarchical = IntraTheoryBatches(
            labels,
            batch_size=half,
            anchors_per_batch=anchors_per_batch,
            positives_per_anchor=positives_per_anchor,
            seed=seed,
        )
        self._individuals = _Members(
            labels.individuals, np.zeros_like(labels.theories), 1, quarter, members_per_id, (seed, INDIVIDUAL)
        )
        self._anchors = _Members(labels.anchors, labels.theories, 2, quarter, members_per_id, (seed, THEORY_ANCHOR))
        for members, column, needed in (
            (self._individuals, "selected_individual", "with at least two texts each"),
            (self._anchors, "selected_anchor", "with texts of at least two theories each"),
        ):
            if members.usable < 2:
                raise InputError(
                    f"column {column} has {members.usable} usable ids of {members.usable + members.unusable}; needed "
                    f"are at least two, {needed}"
                )
        self.individuals_per_batch = self._individuals.per_batch
        self.anchor_ids_per_batch = self._anchors.per_batch
        ids = {LONE_INDIVIDUALS: self._individuals.unusable, ONE_THEORY_ANCHORS: self._anchors.unusable}
        self.unusable = self.hierarchical.unusable | {reason: count for reason, count in ids.items() if count}

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in which every usable text is an anchor once; the same in all epochs."""
        return self.hierarchical.batches_per_epoch

    def __len__(self) -> int:
        return self.batches_per_epoch

    def batch(self, epoch: int, number: int) -> Batch:
        """Draw a batch; arguments and errors as in `IntraTheoryBatches.batch`.

        Returns
        -------
        Batch
            Part 0 block by block, then parts 1 and 2 id by id.
        """
        first = self.hierarchical.batch(epoch, number)
        place = epoch * len(self) + number
        rows, ids, parts = [first.rows], [first.ids], [first.parts]
        for part, members in ((INDIVIDUAL, self._individuals), (THEORY_ANCHOR, self._anchors)):
            drawn, of = members.draw(place)
            rows.append(drawn)
            ids.append(of)
            parts.append(np.full(drawn.size, part))
        return Batch(np.concatenate(rows), np.concatenate(parts), np.concatenate(ids))


class _Members:
    """Ids with their members, parted into groups (theories), and how they are drawn.

    Parameters
    ----------
    ids, groups
        (N,) id of each text (`NONE` for none), and the group it has among the id's members.
    least_groups
        How many groups an id must have; an id must have two members in any case.
    room
        Most rows of a draw.
    members_per_id
        Most members of an id in a draw.
    seed
        Seed, and number of the part.
    """

    def __init__(
        self, ids: IntArray, groups: IntArray, least_groups: int, room: int, members_per_id: int, seed: tuple[int, int]
    ) -> None:
        rows = np.flatnonzero(ids != NONE)
        order = np.lexsort((groups[rows], ids[rows]))
        rows = rows[order]
        new_id = np.diff(ids[rows], prepend=NONE) != 0
        new_group = new_id | (np.diff(groups[rows], prepend=NONE) != 0)
        group_starts = np.append(np.flatnonzero(new_group), rows.size)
        first_groups = np.append(np.flatnonzero(new_id[group_starts[:-1]]), len(group_starts) - 1)
        members = np.diff(group_starts[first_groups])
        fine = (members >= 2) & (np.diff(first_groups) >= least_groups)

        self._groups = _Lists(rows, group_starts)
        self._first_groups, self._n_groups = first_groups[:-1][fine], np.diff(first_groups)[fine]
        self._names = ids[rows[group_starts[self._first_groups]]]
        self._room, self._members_per_id, self._seed = room, members_per_id, seed
        self._turn: tuple[int, IntArray] | None = None
        self.usable, self.unusable = int(fine.sum()), int((~fine).sum())
        self.per_batch = 0
        if self.usable:
            fill = int(room / np.minimum(members[fine], members_per_id).mean())
            self.per_batch = min(max(fill, 2), room // 2, self.usable)

    def draw(self, place: int) -> tuple[IntArray, IntArray]:
        """Draw the members of batch number `place`, counted over all epochs: rows, and the id of each."""
        turn, part_of_turn = divmod(place, -(-self.usable // self.per_batch))
        order = self._order(turn)
        chosen = order[(part_of_turn * self.per_batch + np.arange(self.per_batch)) % self.usable]
        rng = _stream(self._seed[0], _MEMBER_STREAM, self._seed[1], place)

        n_groups = self._n_groups[chosen]
        id_of_group = np.repeat(np.arange(chosen.size), n_groups)
        groups = self._first_groups[chosen][id_of_group] + _places(n_groups)
        starts = self._groups.starts[groups]
        size = 2 * self._members_per_id + _SPARE
        group, positions = _windows(starts, self._groups.starts[groups + 1] - starts, size, rng)
        order = np.argsort(group + rng.random(group.size))
        group, rows = group[order], self._groups.rows[positions[order]]

        # A member of each group comes before the second of any, and of each id before the third of any: what is cut
        # off leaves every id two members, of two groups if it has two.
        within_group = _places(np.bincount(group, minlength=groups.size))
        of = id_of_group[group]
        order = np.lexsort((rng.random(groups.size)[group], within_group, of))
        of, rows = of[order], rows[order]
        within_id = _places(np.bincount(of, minlength=chosen.size))
        few = within_id < self._members_per_id
        of, rows, within_id = of[few], rows[few], within_id[few]
        kept = np.sort(np.argsort(within_id + rng.random(within_id.size))[: self._room])
        return rows[kept], self._names[chosen[of[kept]]]

    def _order(self, turn: int) -> IntArray:
        """In which order the ids are drawn in a turn."""
        kept = self._turn
        if kept is None or kept[0] != turn:
            rng = _stream(self._seed[0], _PASS_STREAM, self._seed[1], turn)
            self._turn = kept = (turn, rng.permutation(self.usable))
        return kept[1]


def _check_blocks(rows: int, anchors: int, positives: int, where: str) -> None:
    """Raise InputError where blocks of an anchor with its positives do not fit in the rows of a batch."""
    if rows < 3:
        raise InputError(f"{where}: an anchor, a positive and a negative need at least 3 rows")
    if not 1 <= anchors <= rows // 2:
        raise InputError(
            f"anchors_per_batch={anchors} with {where}: an anchor needs at least one row beside its own, so 1 to "
            f"{rows // 2}"
        )
    most = min(rows // anchors - 1, rows - 2)
    if not 1 <= positives <= most:
        raise InputError(
            f"positives_per_anchor={positives} with {where} and anchors_per_batch={anchors}: positives have to fit in "
            f"their anchor's block and leave room for a negative, so 1 to {most}"
        )


def _check_place(epoch: int, number: int, batches: int) -> None:
    """Raise IndexError where there is no such batch."""
    if epoch < 0 or not 0 <= number < batches:
        raise IndexError(f"no batch {number} in epoch {epoch}: epochs count from 0, batches from 0 to {batches - 1}")


def _stream(seed: int, *place: int) -> np.random.Generator:
    """Random numbers that depend on nothing but seed and place."""
    # The seed, which may be of any length, stands last: so no two places can be read as the same sequence of words.
    return np.random.default_rng([*place, int(seed < 0), abs(seed)])


def _starts(lengths: IntArray) -> IntArray:
    """Where each of the lists begins, and the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)])


def _places(lengths: IntArray) -> IntArray:
    """Count 0, 1, 2, ... anew in each list."""
    starts = _starts(lengths)
    return np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)


def _even_groups(per_theory: IntArray, size: int) -> IntArray:
    """Where groups of at most `size` begin and the last one ends: theory after theory, each cut as evenly as can be."""
    n_groups = -(-per_theory // size)
    theory = np.repeat(np.arange(per_theory.size), n_groups)
    ends = (_places(n_groups) + 1) * per_theory[theory] // n_groups[theory]
    return np.concatenate([[0], _starts(per_theory)[theory] + ends])


def _cells_of(labels: Labels) -> tuple[IntArray, _Lists]:
    """Find the cells of each text, (N, W), each once and `NONE` behind them, and the texts of each cell."""
    full = labels.paths[:, :, -1]
    codes = np.where(full == NONE, NONE, full * len(DIRECTIONS) + labels.directions[:, None])
    codes = -np.sort(-codes, axis=1)
    codes[:, 1:][codes[:, 1:] == codes[:, :-1]] = NONE
    rows, columns = np.nonzero(codes != NONE)
    names, numbers = np.unique(codes[rows, columns], return_inverse=True)
    cells = np.full(codes.shape, NONE)
    cells[rows, columns] = numbers
    return cells, _Lists.by_key(numbers, rows, names.size)


def _share(cells: IntArray, others: IntArray) -> BoolArray:
    """Tell for each of n texts whether it shares a cell with the text beside it; both (n, W)."""
    shared = np.zeros(len(cells), dtype=bool)
    for path in range(cells.shape[1]):
        own = cells[:, path]
        shared |= ((own[:, None] == others) & (own != NONE)[:, None]).any(axis=1)
    return shared


def _windows(starts: IntArray, lengths: IntArray, size: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Draw `size` different positions of each list, or all: the list of each, and its position.

    From a random start, positions are taken in random strides around a circle whose length is the first prime from the
    list's length on: no position comes twice, and any two are equally likely to come together. What falls behind the
    end of the list is left out; as many more are taken, so some windows are a little larger than asked for.
    """
    primes = _primes_to(4 ** (int(lengths.max(initial=1)).bit_length() // 2 + 1))
    circles = primes[np.searchsorted(primes, lengths)]
    counts = np.where(lengths > 0, np.minimum(size + circles - lengths, circles), 0)
    stride, begin = rng.integers(1, circles), rng.integers(0, circles)
    of = np.repeat(np.arange(lengths.size), counts)
    offsets = (begin[of] + _places(counts) * stride[of]) % circles[of]
    there = offsets < lengths[of]
    of = of[there]
    return of, starts[of] + offsets[there]


@lru_cache
def _primes_to(limit: int) -> IntArray:
    """Sieve the primes up to a limit, ascending."""
    prime = np.ones(limit + 1, dtype=bool)
    prime[:2] = False
    for number in range(2, math.isqrt(limit) + 1):
        if prime[number]:
            prime[number * number :: number] = False
    return np.flatnonzero(prime)


def _assign(
    pools: _Lists,
    lengths: IntArray,
    owners: IntArray,
    need: IntArray,
    taken: IntArray,
    rng: np.random.Generator,
    *,
    first: tuple[int, ...],
    last: int | None,
    fits: Callable[[IntArray, IntArray], BoolArray] | None = None,
) -> tuple[IntArray, IntArray]:
    """Give each owner as many rows of its pools as it needs, no row to two of them.

    For each row that an owner still needs, one of its pools is drawn, then a row of the pool that is free. That is done
    in rounds, for all owners at once, until all have enough.

    Parameters
    ----------
    pools, lengths
        Pool i is `lengths[i]` entries of `pools.rows` from `pools.starts[i]` on.
    owners
        Owner of each pool, ascending.
    need
        (owners,) rows that each owner needs.
    taken
        Rows that cannot be given.
    rng
        Random numbers.
    first
        How many rows of each pool are looked at in the first rounds.
    last
        How many in all further rounds, which end when one of them finds nothing: whoever then lacks a row has no free
        one in any window of this size. None for no further rounds.
    fits
        Told owners and rows, says which rows can be given to whom; all, where not given.

    Returns
    -------
    owners, rows
        Who is given which row.
    """
    need, taken = need.copy(), np.sort(taken)
    given: list[tuple[IntArray, IntArray]] = []
    for size in chain(first, () if last is None else repeat(last)):
        live = np.flatnonzero(need[owners] > 0)
        if not live.size:
            break
        owner = owners[live]
        pool, positions = _windows(pools.starts[live], lengths[live], size, rng)
        rows = pools.rows[positions]
        free = ~_among(rows, taken)
        if fits is not None:
            free &= fits(owner[pool], rows)
        pool, rows = pool[free], rows[free]
        order = np.argsort(pool + rng.random(pool.size))
        rows = rows[order]
        new_owners, new_rows = _claim(owner, np.bincount(pool, minlength=live.size), rows, need, rng)
        if not new_rows.size and size == last:
            break
        given.append((new_owners, new_rows))
        need -= np.bincount(new_owners, minlength=need.size)
        taken = np.sort(np.concatenate([taken, new_rows]))
    if not given:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate([pair[0] for pair in given]), np.concatenate([pair[1] for pair in given])


def _claim(
    owners: IntArray, found: IntArray, rows: IntArray, need: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Let each owner claim rows of its pools at random; who claims a row first has it.

    `found` rows of each pool stand behind each other in `rows`. At least one is given where an owner in need has any.
    """
    filled = np.flatnonzero(found)
    choices = np.bincount(owners[filled], minlength=need.size)
    claimants = np.repeat(np.arange(need.size), np.where(choices > 0, need, 0))
    first = _starts(choices)[claimants]
    pick = filled[first + (rng.random(claimants.size) * choices[claimants]).astype(np.int64)]
    pick.sort()
    place = _places(np.bincount(pick, minlength=found.size))
    there = place < found[pick]
    pick = pick[there]
    claimed, index = np.unique(rows[_starts(found)[pick] + place[there]], return_index=True)
    return owners[pick[index]], claimed


def _among(rows: IntArray, ascending: IntArray) -> BoolArray:
    """Tell which rows stand in an ascending array, which is not empty."""
    near = np.minimum(np.searchsorted(ascending, rows), ascending.size - 1)
    return np.asarray(ascending[near] == rows, dtype=np.bool_)
