"""Batches of stage 1: each of one theory, built around queries with texts that are like them and texts that are not.

A batch is a pure function of seed, epoch and number: nothing is carried from one batch to the next, so that a resumed
run, several processes and the workers of a loader all see the same. Texts are drawn from lists that are made once (the
texts of a theory, of a cell, of an id), through windows whose length depends on the batch and never on the list: so a
batch of a million texts costs what one of ten thousand does.

References
----------
van den Oord, A., Li, Y. and Vinyals, O. (2018). Representation learning with contrastive predictive coding.
arXiv:1807.03748 (query, positive, negative).
"""

import numpy as np

from valueflow.hives.data import NONE, BoolArray, IntArray, Labels
from valueflow.hives.sampling.assignment import assign_rows
from valueflow.hives.sampling.batch import ALONE, HIERARCHICAL, NO_NEGATIVES, WITHOUT_PATH, Batch
from valueflow.hives.sampling.cells import find_cells, share_a_cell
from valueflow.hives.sampling.drawing import BATCH_STREAM, EPOCH_STREAM, SPARE, random_stream
from valueflow.hives.sampling.lists import Lists, places_in, starts_of
from valueflow.hives.sampling.negatives import NegativeLists
from valueflow.run import InputError


class IntraTheoryBatches:
    """Batches of one theory each: queries, each with positives and negatives.

    A batch holds up to `queries_per_batch` queries, each with a block of rows: first the query, then up to
    `positives_per_query` other texts that share a full path and the direction with it, then negatives: texts of the
    same theory that share no full path with it, or not the direction. No row appears twice. "Up to" is as many as there
    are outside the batch; where a theory is too small to fill the blocks, the batch is as large as it can be: no text
    that is left out would fit in any block.

    The blocks share `batch_size` evenly: `batch_size // queries_per_batch` rows in a full batch, more where a theory's
    queries do not come out even (they are spread over its batches as evenly as they can be). For each positive one of
    the query's paths is drawn first, so that a rare path gets its share beside a common one.

    In an epoch every usable text is a query exactly once. A text without a positive, or without a negative, is none
    but serves the others; `unusable` counts them.

    Parameters
    ----------
    labels
        Labels of N texts.
    batch_size
        Most rows of a batch.
    queries_per_batch
        Most queries of a batch, at most half of `batch_size`; the setting `stage.anchors_per_batch`.
    positives_per_query
        Most positives of a block. They fit in the block, and leave room for at least one negative in the batch; the
        setting `stage.positives_per_anchor`.
    seed
        Any integer. Another seed gives other batches.

    Attributes
    ----------
    unusable : dict
        Reason to number of texts that cannot be queries for it.

    Raises
    ------
    InputError
        Where a setting makes no sense, or no text can be a query.
    """

    def __init__(
        self, labels: Labels, *, batch_size: int, queries_per_batch: int, positives_per_query: int, seed: int
    ) -> None:
        check_blocks(batch_size, queries_per_batch, positives_per_query, f"batch_size={batch_size}")
        if not len(labels):
            raise InputError("there is no text to make batches of; needed are texts with their paths and directions")
        self.batch_size = batch_size
        self.positives_per_query = positives_per_query
        self.seed = seed
        self._theories = labels.theories
        self._cells, self._by_cell = find_cells(labels)
        self._by_theory = Lists.by_key(labels.theories, np.arange(len(labels)), len(labels.theory_names))
        self._negative_lists = NegativeLists(self._theories, self._cells, self._by_theory, self._by_cell)

        usable, self.unusable = self._usable()
        self._queries = self._by_theory.rows[usable[self._by_theory.rows]]
        per_theory = np.bincount(labels.theories[self._queries], minlength=len(labels.theory_names))
        self._theory_starts = starts_of(per_theory)
        self._group_starts = _even_groups(per_theory, queries_per_batch)
        self._plan: tuple[int, IntArray, IntArray] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in which every usable text is a query once; the same in all epochs."""
        return len(self._group_starts) - 1

    def __len__(self) -> int:
        return self.batches_per_epoch

    def queries_of(self, epoch: int, number: int) -> IntArray:
        """Return the rows that are queries in a batch, in the order of their blocks; arguments as in `batch`."""
        _check_place(epoch, number, len(self))
        queries, groups = self._epoch(epoch)
        group = groups[number]
        return queries[self._group_starts[group] : self._group_starts[group + 1]].copy()

    def batch(self, epoch: int, number: int) -> Batch:
        """Draw a batch.

        Parameters
        ----------
        epoch, number
            From 0; `number` is below `batches_per_epoch`.

        Returns
        -------
        Batch
            All of part 0. Block by block, each block behind its query.

        Raises
        ------
        IndexError
            Where there is no such batch.
        """
        queries = self.queries_of(epoch, number)
        rng = random_stream(self.seed, BATCH_STREAM, epoch, number)
        n = queries.size
        room = self.batch_size // n + (np.arange(n) < self.batch_size % n) - 1

        owners, positives = self._positives(queries, rng)
        room -= np.bincount(owners, minlength=n)
        others, negatives = self._negatives(queries, room, np.concatenate([queries, positives]), rng)

        blocks = np.argsort(np.concatenate([np.arange(n), owners, others]), kind="stable")
        rows = np.concatenate([queries, positives, negatives])[blocks]
        return Batch(rows, np.full(rows.size, HIERARCHICAL), np.full(rows.size, NONE))

    def _epoch(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Return queries, shuffled within their theories, and the order of their groups."""
        plan = self._plan
        if plan is None or plan[0] != epoch:
            rng = random_stream(self.seed, EPOCH_STREAM, epoch, 0)
            queries = self._queries.copy()
            for theory in range(len(self._theory_starts) - 1):
                rng.shuffle(queries[self._theory_starts[theory] : self._theory_starts[theory + 1]])
            # Set at once, so that a thread that asks for another epoch cannot mix two.
            self._plan = plan = (epoch, queries, rng.permutation(len(self)))
        return plan[1], plan[2]

    def _positives(self, queries: IntArray, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw the positives of all queries: whose each is, and its row."""
        owners, paths = np.nonzero(self._cells[queries] != NONE)
        cells = self._cells[queries[owners], paths]
        starts, lengths = self._by_cell.starts[cells], self._by_cell.starts[cells + 1] - self._by_cell.starts[cells]
        need = np.full(queries.size, self.positives_per_query)
        # Fewer rows than `batch_size` are ever taken, so a window of that many holds a free one if its cell does.
        pools = Lists(self._by_cell.rows, starts)
        first = (2 * self.positives_per_query + SPARE,)
        return assign_rows(pools, lengths, owners, need, queries, rng, first=first, last=self.batch_size)

    def _negatives(
        self, queries: IntArray, need: IntArray, taken: IntArray, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray]:
        """Draw what fills the blocks: whose each negative is, and its row."""
        n = queries.size
        own = self._cells[queries]
        theory = self._theories[queries[0]]
        start, stop = self._by_theory.starts[theory], self._by_theory.starts[theory + 1]

        def differ(owners: IntArray, rows: IntArray) -> BoolArray:
            return ~share_a_cell(own[owners], self._cells[rows])

        block = int(need.max()) + 1
        pools = Lists(self._by_theory.rows, np.full(n, start))
        first = (block + block // 4 + SPARE, 2 * block + SPARE, 16 * block)
        owners, rows = assign_rows(
            pools, np.full(n, stop - start), np.arange(n), need, taken, rng, first=first, last=None, fits=differ
        )
        missing = need - np.bincount(owners, minlength=n)
        short = np.flatnonzero(missing)
        if not short.size:
            return owners, rows
        # The theory is small, or nearly all of it is like the query: what is not has to be listed to be found.
        lists, numbers = self._negative_lists.of(queries[short])
        pools = Lists(lists.rows, lists.starts[numbers])
        taken = np.concatenate([taken, rows])
        more, further = assign_rows(
            pools, lists.lengths[numbers], short, missing, taken, rng, first=(), last=self.batch_size
        )
        return np.concatenate([owners, more]), np.concatenate([rows, further])

    def _usable(self) -> tuple[BoolArray, dict[str, int]]:
        """Return which texts can be queries, and count the others by reason."""
        sizes = np.append(self._by_cell.lengths, 0)[self._cells]
        pathless = (self._cells == NONE).all(axis=1)
        alone = ~pathless & (sizes.max(axis=1, initial=0) < 2)
        without_negatives = self._negative_lists.are_missing(~pathless & ~alone, sizes)
        counts = {WITHOUT_PATH: pathless, ALONE: alone, NO_NEGATIVES: without_negatives}
        unusable = {reason: int(rows.sum()) for reason, rows in counts.items() if rows.any()}
        usable = ~(pathless | alone | without_negatives)
        if not usable.any():
            found = ", ".join(f"{count} {reason}" for reason, count in unusable.items())
            raise InputError(
                f"none of {len(self._cells)} texts can be a query ({found}); needed are, in one theory, two texts "
                "with the same path and direction and a third with another path or direction"
            )
        return usable, unusable


def check_blocks(rows: int, queries: int, positives: int, where: str) -> None:
    """Raise InputError where blocks of a query with its positives do not fit in the rows of a batch."""
    if rows < 3:
        raise InputError(f"{where}: a query, a positive and a negative need at least 3 rows")
    if not 1 <= queries <= rows // 2:
        raise InputError(
            f"anchors_per_batch={queries} with {where}: a query needs at least one row beside its own, so 1 to "
            f"{rows // 2}"
        )
    most = min(rows // queries - 1, rows - 2)
    if not 1 <= positives <= most:
        raise InputError(
            f"positives_per_anchor={positives} with {where} and anchors_per_batch={queries}: positives have to fit in "
            f"their query's block and leave room for a negative, so 1 to {most}"
        )


def _check_place(epoch: int, number: int, batches: int) -> None:
    """Raise IndexError where there is no such batch."""
    if epoch < 0 or not 0 <= number < batches:
        raise IndexError(f"no batch {number} in epoch {epoch}: epochs count from 0, batches from 0 to {batches - 1}")


def _even_groups(per_theory: IntArray, size: int) -> IntArray:
    """Return where groups of at most `size` begin and the last one ends; each theory is split as evenly as possible."""
    n_groups = -(-per_theory // size)
    theory = np.repeat(np.arange(per_theory.size), n_groups)
    ends = (places_in(n_groups) + 1) * per_theory[theory] // n_groups[theory]
    return np.concatenate([[0], starts_of(per_theory)[theory] + ends])
