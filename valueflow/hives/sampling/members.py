"""Ids with their members: which are drawn for a batch, and who of them."""

import numpy as np

from valueflow.hives.data import NONE, IntArray
from valueflow.hives.sampling.drawing import MEMBER_STREAM, ROUND_STREAM, SPARE, draw_positions, random_stream
from valueflow.hives.sampling.lists import Lists, places_in


class IdMembers:
    """Ids with their members, split into groups (theories), and how they are drawn.

    Parameters
    ----------
    ids, groups
        (N, K) ids of each text (`NONE` fills up), and the (N,) group it has among the members of each.
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
        rows, slots = np.nonzero(ids != NONE)
        listed = ids[rows, slots]
        order = np.lexsort((groups[rows], listed))
        rows, listed = rows[order], listed[order]
        new_id = np.diff(listed, prepend=NONE) != 0
        new_group = new_id | (np.diff(groups[rows], prepend=NONE) != 0)
        group_starts = np.append(np.flatnonzero(new_group), rows.size)
        first_groups = np.append(np.flatnonzero(new_id[group_starts[:-1]]), len(group_starts) - 1)
        members = np.diff(group_starts[first_groups])
        fine = (members >= 2) & (np.diff(first_groups) >= least_groups)

        self._groups = Lists(rows, group_starts)
        self._first_groups, self._n_groups = first_groups[:-1][fine], np.diff(first_groups)[fine]
        self._names = listed[group_starts[self._first_groups]]
        self._room, self._members_per_id, self._seed = room, members_per_id, seed
        self._round: tuple[int, IntArray] | None = None
        self.usable, self.unusable = int(fine.sum()), int((~fine).sum())
        self.per_batch = 0
        if self.usable:
            fill = int(room / np.minimum(members[fine], members_per_id).mean())
            self.per_batch = min(max(fill, 2), room // 2, self.usable)

    def draw(self, place: int) -> tuple[IntArray, IntArray]:
        """Draw the members of batch number `place`, counted over all epochs: rows, and the id each is drawn by.

        A text that is drawn by several of its ids stands there once.
        """
        round_number, part_of_round = divmod(place, -(-self.usable // self.per_batch))
        order = self._order(round_number)
        chosen = order[(part_of_round * self.per_batch + np.arange(self.per_batch)) % self.usable]
        rng = random_stream(self._seed[0], MEMBER_STREAM, self._seed[1], place)

        n_groups = self._n_groups[chosen]
        id_of_group = np.repeat(np.arange(chosen.size), n_groups)
        groups = self._first_groups[chosen][id_of_group] + places_in(n_groups)
        starts = self._groups.starts[groups]
        size = 2 * self._members_per_id + SPARE
        group, positions = draw_positions(starts, self._groups.starts[groups + 1] - starts, size, rng)
        order = np.argsort(group + rng.random(group.size))
        group, rows = group[order], self._groups.rows[positions[order]]

        # A member of each group comes before the second of any, and of each id before the third of any: what is left
        # out leaves every id two members, of two groups if it has two.
        within_group = places_in(np.bincount(group, minlength=groups.size))
        of = id_of_group[group]
        order = np.lexsort((rng.random(groups.size)[group], within_group, of))
        of, rows = of[order], rows[order]
        within_id = places_in(np.bincount(of, minlength=chosen.size))
        few = within_id < self._members_per_id
        of, rows, within_id = of[few], rows[few], within_id[few]
        by_need = np.argsort(within_id + rng.random(within_id.size))
        # A text of several ids is drawn once, and takes one place.
        first = np.sort(np.unique(rows[by_need], return_index=True)[1])
        kept = np.sort(by_need[first[: self._room]])
        return rows[kept], self._names[chosen[of[kept]]]

    def _order(self, round_number: int) -> IntArray:
        """Return the order in which the ids are drawn in a round."""
        kept = self._round
        if kept is None or kept[0] != round_number:
            rng = random_stream(self._seed[0], ROUND_STREAM, self._seed[1], round_number)
            self._round = kept = (round_number, rng.permutation(self.usable))
        return kept[1]
