"""What the tests of training share."""

from pathlib import Path

import pytest

from tests.hives.tiny import save_tiny_encoder, training_rows


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny encoder with dropout."""
    return save_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a training table of 108 sentences."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    training_rows().to_csv(path, index=False)
    return path
