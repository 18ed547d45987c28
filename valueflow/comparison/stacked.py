"""The responses of several jobs as arrays, numbered by job and query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from valueflow.comparison.contrasts import cluster_sums
from valueflow.comparison.jobs import Job

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stacked:
    """The N responses of J jobs.

    Attributes
    ----------
    job
        (N,) places of the jobs.
    cluster
        (N,) codes: the place of the response's query; a response without one is a cluster of its own, numbered from Q
        on.
    score, influence
        (N,) scores and influences on the jobs' means; NaN where a response has no score.
    queries
        (Q,) different queries, sorted.
    n_jobs
        J.
    """

    job: npt.NDArray[np.intp]
    cluster: npt.NDArray[np.intp]
    score: Floats
    influence: Floats
    queries: npt.NDArray[np.object_]
    n_jobs: int

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> "Stacked":
        """Stack the responses of jobs in their order."""
        frame = pd.concat([job.scores for job in jobs], ignore_index=True)
        codes, queries = pd.factorize(frame["query"], sort=True)
        if len(queries) and queries[0] == "":
            is_alone = codes == 0
            queries, codes = queries[1:], codes - 1
            codes[is_alone] = len(queries) + np.arange(is_alone.sum())
        return cls(
            job=np.repeat(np.arange(len(jobs)), [len(job.scores) for job in jobs]),
            cluster=codes.astype(np.intp),
            score=frame["score"].to_numpy(dtype=float),
            influence=frame["influence"].to_numpy(dtype=float),
            queries=np.asarray(queries, dtype=object),
            n_jobs=len(jobs),
        )

    def sums(self, influence: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Sum (N,) influences by job and cluster; see `cluster_sums`."""
        n_clusters = max(len(self.queries), int(self.cluster.max(initial=-1)) + 1)
        return cluster_sums(self.job, self.cluster, influence, self.n_jobs, n_clusters)

    def query_means(self) -> Floats:
        """Return the (J, Q) mean score of each job's responses to each query; NaN where it has none."""
        counts = ~np.isnan(self.score) & (self.cluster < len(self.queries))
        shape = (self.n_jobs, len(self.queries))
        place = self.job[counts] * shape[1] + self.cluster[counts]
        total = np.bincount(place, weights=self.score[counts], minlength=shape[0] * shape[1])
        with np.errstate(invalid="ignore"):
            return np.asarray((total / np.bincount(place, minlength=total.size)).reshape(shape), dtype=np.float64)
