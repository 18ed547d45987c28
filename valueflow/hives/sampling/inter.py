"""Batches of stage 2: a hierarchical half as in stage 1, and texts that share an id within and across theories."""

import numpy as np

from valueflow.hives.data import Labels
from valueflow.hives.sampling.batch import CONCEPT, INDIVIDUAL, LONE_INDIVIDUALS, ONE_THEORY_CONCEPTS, Batch
from valueflow.hives.sampling.intra import IntraTheoryBatches, check_blocks
from valueflow.hives.sampling.members import IdMembers
from valueflow.run import InputError


class InterTheoryBatches:
    """Batches of stage 2: half of one theory as in stage 1, a quarter of individuals, a quarter of concepts.

    The hierarchical half is a batch of `IntraTheoryBatches` with half the rows. Each quarter holds several ids, at
    least two, with two to `members_per_id` different members each; the members of a concept come from at least
    two theories, one after the other from each that it has. A text of several concepts is a member of each, and stands
    in a batch once. How many ids a batch holds is the same in all batches: as many as fill the quarter on average.
    Where they would fill more, those with most members give some up.

    All usable ids are drawn in rounds: they are shuffled and split into batches, and shuffled again once all have been
    drawn, whether before or after an epoch ends (the last batch of a round is filled with the round's first ids). So
    each id comes about equally often, however many members it has.

    Parameters
    ----------
    labels
        Labels of N texts.
    batch_size
        Most rows of a batch, at least 16.
    queries_per_batch, positives_per_query
        As in `IntraTheoryBatches`, for the hierarchical half.
    members_per_id
        Most members of an id in a batch: at least 2, and at most half of a quarter.
    seed
        Any integer. Another seed gives other batches.

    Attributes
    ----------
    hierarchical : IntraTheoryBatches
        Where the first half comes from. An epoch is one of its epochs.
    individuals_per_batch, concepts_per_batch : int
        How many ids the two quarters hold.
    unusable : dict
        Reason to number of texts that cannot be queries, or of ids that cannot be drawn, for it.

    Raises
    ------
    InputError
        Where a setting makes no sense, no text can be a query, or fewer than two individuals or concepts can be drawn.
    """

    def __init__(
        self,
        labels: Labels,
        *,
        batch_size: int,
        queries_per_batch: int,
        positives_per_query: int,
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
        check_blocks(half, queries_per_batch, positives_per_query, f"a hierarchical half of {half} rows")
        self.hierarchical = IntraTheoryBatches(
            labels,
            batch_size=half,
            queries_per_batch=queries_per_batch,
            positives_per_query=positives_per_query,
            seed=seed,
        )
        self._individuals = IdMembers(
            labels.individuals[:, None], np.zeros_like(labels.theories), 1, quarter, members_per_id, (seed, INDIVIDUAL)
        )
        self._concepts = IdMembers(labels.all_concepts, labels.theories, 2, quarter, members_per_id, (seed, CONCEPT))
        for members, column, needed in (
            (self._individuals, "selected_individual", "with at least two texts each"),
            (self._concepts, "selected_anchor", "with texts of at least two theories each"),
        ):
            if members.usable < 2:
                raise InputError(
                    f"column {column} has {members.usable} usable ids of {members.usable + members.unusable}; needed "
                    f"are at least two, {needed}"
                )
        self.individuals_per_batch = self._individuals.per_batch
        self.concepts_per_batch = self._concepts.per_batch
        ids = {LONE_INDIVIDUALS: self._individuals.unusable, ONE_THEORY_CONCEPTS: self._concepts.unusable}
        self.unusable = self.hierarchical.unusable | {reason: count for reason, count in ids.items() if count}

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in which every usable text is a query once; the same in all epochs."""
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
        for part, members in ((INDIVIDUAL, self._individuals), (CONCEPT, self._concepts)):
            drawn, of = members.draw(place)
            rows.append(drawn)
            ids.append(of)
            parts.append(np.full(drawn.size, part))
        return Batch(np.concatenate(rows), np.concatenate(parts), np.concatenate(ids))
