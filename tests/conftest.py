"""What all tests share."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from tests.yaml_once import parse_yaml_once

ROOT = Path(__file__).resolve().parents[1]

# The same examples in every run: a failure on main must be the change's, not the draw's. `make test-all` and CI draw
# all of them (--hypothesis-profile=all), what a developer waits for draws a quarter.
settings.register_profile("all", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("quarter", settings.get_profile("all"), max_examples=25)
settings.load_profile("quarter")

parse_yaml_once()

# absl, which TensorBoard loads, closes the stream its handler was made with whenever logging is configured anew: what
# pytest captures with, unless it is told to use the real one.
with suppress(ImportError):
    from absl import logging as absl_logging

    absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

# No test asks a hub for anything; without this, a name that is not there costs a minute of retries.
os.environ["HF_HUB_OFFLINE"] = "1"

# Where tests run on every core at once, encoders that each took all cores would wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

# Anchors are embedded once for all tests, the ones in processes of their own too. Entries are told apart by model and
# texts, so an old one can only be right.
os.environ["VALUEFLOW_CACHE"] = str(ROOT / ".pytest_cache" / "valueflow")
os.environ.pop("VALUEFLOW_CACHE_URL", None)

# Trackio looks up its folder once, when it is imported; by default it is in the home folder of whoever runs tests.
_TRACKED = TemporaryDirectory(prefix="valueflow-trackio")
os.environ["TRACKIO_DIR"] = _TRACKED.name

_SCORED = """
import pandas as pd
from valueflow import evaluate_responses
said = pd.DataFrame({"query": ["What now?"], "response": ["We help them."]})
evaluate_responses(said, value="benevolence", progress=False)
"""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Embed the demo anchors on all cores before tests run side by side, each on one: a minute, the first time."""
    cached = any(Path(os.environ["VALUEFLOW_CACHE"], "vectors").glob("*.npy"))
    runs_workers = "PYTEST_XDIST_WORKER" not in os.environ and session.config.getoption("numprocesses", None)
    if runs_workers and not cached:
        subprocess.run([sys.executable, "-c", _SCORED], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny encoder with dropout."""
    from tests.hives.tiny import save_tiny_encoder  # loads torch, which most tests do without

    return save_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a training table of 108 sentences."""
    from tests.hives.tiny import training_rows

    path = tmp_path_factory.mktemp("data") / "table.csv"
    training_rows().to_csv(path, index=False)
    return path
