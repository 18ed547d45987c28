"""Weights between two ends, worked by hand."""

import torch

from valueflow.hives.training import interpolate_weights


def test_floats_are_mixed_and_whole_numbers_taken_from_the_trained() -> None:
    start = {
        "weight": torch.tensor([[0.0, 8.0]]),
        "half": torch.tensor([1.0], dtype=torch.bfloat16),
        "n": torch.tensor(3),
    }
    trained = {
        "weight": torch.tensor([[4.0, 0.0]]),
        "half": torch.tensor([2.0], dtype=torch.bfloat16),
        "n": torch.tensor(5),
    }
    mixed = interpolate_weights(start, trained, 0.25)
    assert mixed["weight"].tolist() == [[3.0, 2.0]]
    assert mixed["half"].tolist() == [1.75]
    assert mixed["half"].dtype == torch.bfloat16
    assert int(mixed["n"]) == 5


def test_the_ends_are_the_ends() -> None:
    start, trained = {"weight": torch.randn(3, 5)}, {"weight": torch.randn(3, 5)}
    assert torch.equal(interpolate_weights(start, trained, 0.0)["weight"], trained["weight"])
    assert torch.equal(interpolate_weights(start, trained, 1.0)["weight"], start["weight"])
