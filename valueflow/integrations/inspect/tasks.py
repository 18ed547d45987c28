"""Tasks for Inspect: the packaged queries, steered or not, scored on the ValueFlow scale; one for each theory.

`inspect eval valueflow/pvq -T value=benevolence`, or by this file, `inspect eval FILE@pvq -T value=benevolence`.
"""

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.solver import generate

from valueflow.integrations.asking import Asking, pairs, sample_labels
from valueflow.integrations.inspect.faults import shown_in_one_line
from valueflow.integrations.inspect.scoring import value_intensity
from valueflow.integrations.inspect.steering import value_steering
from valueflow.steering import Wording


@task
def pvq(value: str, intensity: int | None = None, **settings: Any) -> Task:
    """Ask about Schwartz's basic human values; parameters as in `own_theory`, but for the theory."""
    return _task("pvq", value, intensity, **settings)


@task
def mft(value: str, intensity: int | None = None, **settings: Any) -> Task:
    """Ask about moral foundations; parameters as in `own_theory`, but for the theory."""
    return _task("mft", value, intensity, **settings)


@task
def duty(value: str, intensity: int | None = None, **settings: Any) -> Task:
    """Ask about prima facie duties; parameters as in `own_theory`, but for the theory."""
    return _task("duty", value, intensity, **settings)


@task
def right(value: str, intensity: int | None = None, **settings: Any) -> Task:
    """Ask about human rights; parameters as in `own_theory`, but for the theory."""
    return _task("right", value, intensity, **settings)


@task
def own_theory(theory: str, value: str, intensity: int | None = None, **settings: Any) -> Task:
    """Ask about a theory of yours.

    Parameters
    ----------
    theory, value
        As in `evaluate.py`: `theory=FILE.json`.
    intensity
        What to steer to, -2 to 2; None asks without a steering prompt.
    **settings
        `steering`, a method that steers by prompt (`anchor` where there is an intensity, else `none`), `queries` as in
        `steer.py` (the packaged 50), others of steering (`values`, `intensities`, `limit`, `max_tokens`,
        `temperature`, `steering.n`), and settings of `evaluate.py`, such as `judge`. Files by their whole path.

    Raises
    ------
    InputError
        A setting cannot be used.
    """
    return _task(theory, value, intensity, **settings)


def _task(theory: str, value: str, intensity: int | None, **settings: Any) -> Task:
    with shown_in_one_line():
        asking = Asking.of(theory, value, intensity, **settings)
        wording = Wording(**asking.steering)
        asked = pairs(wording.queries())
    samples = [
        Sample(input=query, id=number, metadata=sample_labels(wording, query, dataset))
        for number, (query, dataset) in enumerate(asked, start=1)
    ]
    return Task(
        dataset=MemoryDataset(samples, name=", ".join(dict.fromkeys(dataset for _, dataset in asked))),
        solver=[value_steering(**asking.steering), generate()],
        scorer=value_intensity(**asking.scoring),
        config=GenerateConfig(
            temperature=wording.settings.temperature,
            max_tokens=wording.settings.max_tokens,
            # It decides nothing at temperature 0, and some servers take none.
            seed=wording.settings.seed if wording.settings.temperature > 0 else None,
        ),
    )
