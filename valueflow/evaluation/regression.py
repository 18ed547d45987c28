"""A run of `estimator=regression`: texts read one by one, anchors and responses, and scores without windows."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from valueflow.evaluation.anchor_utilities import ReadAnchors
from valueflow.evaluation.judging import about_judge
from valueflow.evaluation.outcome import Found, query_clusters
from valueflow.evaluation.reading import read_texts, text_judge
from valueflow.evaluation.settings import EvaluationSettings
from valueflow.evaluation.text_scores import text_scores_table
from valueflow.evaluation.utility_scores import score_utilities
from valueflow.judge import Criterion
from valueflow.run import Run
from valueflow.vidb import load_vidb


def score_by_regression(settings: EvaluationSettings, value: str, frame: pd.DataFrame, run: Run) -> Found:
    """Have the judge read responses and anchors, and score the responses.

    Raises
    ------
    InputError
        The judge or a setting does not go with this estimator, or there are too few anchors.
    """
    judge = text_judge(settings)
    with run.stage("load"):
        vidb = load_vidb(settings.vidb, settings.theory, settings.vidb_columns, run.bad_rows)
        own = vidb.of(settings.theory, value)
    texts = frame["response"].to_numpy(dtype=object)
    read = read_texts(judge, Criterion(settings.theory, value, vidb), texts, run, shows_bar=settings.progress)
    with run.stage("score"):
        utility = read.responses.of(texts)
        anchors = ReadAnchors.of(read.anchors, vidb.anchors, own)
        scores, figures = score_utilities(
            texts, utility, anchors, query_clusters(frame), judge_check=settings.judge_check
        )
    return Found(
        scores=scores,
        summary={
            "share_failed": float(np.mean(np.isnan(utility))),
            "failures": read.failures,
            "calibration": None,
            "regression": asdict(figures),
            "judge": about_judge(settings, vidb, own),
            "judging": read.report,
            "seed": None,
        },
        drawn=dict.fromkeys(("k", "m", "response_position", "sampling", "point", "solver", "iter", "lr")),
        text_scores=text_scores_table(read.responses, read.anchors, vidb.anchors),
    )
