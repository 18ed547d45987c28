"""The ValueFlow scale inside Inspect: a scorer for any task, steering by prompt as a solver, a task for each theory."""

from valueflow.integrations.inspect.scoring import on_scale, value_intensity
from valueflow.integrations.inspect.steering import value_steering
from valueflow.integrations.inspect.tasks import duty, mft, own_theory, pvq, right

__all__ = ["duty", "mft", "on_scale", "own_theory", "pvq", "right", "value_intensity", "value_steering"]
