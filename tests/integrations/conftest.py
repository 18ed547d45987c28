"""What the tests of integrations share."""

from pathlib import Path

import pytest

from tests.integrations.said import few_anchors


@pytest.fixture(scope="session")
def vidb(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a file of few anchors."""
    file: Path = tmp_path_factory.mktemp("vidb") / "anchors.csv"
    few_anchors().to_csv(file, index=False)
    return str(file)
