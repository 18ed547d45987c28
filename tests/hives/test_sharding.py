"""An encoder divided between two processes learns what one process learns, and checkpoints are the same."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

from tests import command
from tests.hives.sharded_fits import CLIP, STEPS, make
from tests.hives.tiny import save_tiny_encoder
from valueflow import train
from valueflow.run import InputError

SCRIPT = Path(__file__).parent / "sharded_fits.py"


def as_slurm_does(task: int, tasks: int) -> dict[str, str]:
    """Return what Slurm puts into the environment of a task on one node."""
    counts = {"NTASKS": tasks, "NTASKS_PER_NODE": tasks, "PROCID": task, "LOCALID": task, "NODEID": 0, "NNODES": 1}
    named = {"JOB_ID": "15001", "JOB_NAME": "train", "JOB_NODELIST": "localhost"} | counts
    return {"MASTER_ADDR": "127.0.0.1"} | {f"SLURM_{name}": str(entry) for name, entry in named.items()}


@pytest.fixture(scope="module")
def fits(table_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all fits: those of one process made here, the others by a pair of processes."""
    folder = tmp_path_factory.mktemp("fits")
    tiny = save_tiny_encoder(folder, dropout=0.0)
    arguments = (str(tiny), str(table_file), str(folder))
    for name in ("one", "one_unmeasured", "one_breaks"):
        make(name, str(tiny), str(table_file), folder, devices=1)
    shutil.copytree(folder / "one_breaks", folder / "fsdp_resumes")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    printed = [folder / f"printed-{task}" for task in range(2)]
    pair = [
        command.start(
            SCRIPT,
            *(*arguments, "ddp", "fsdp", "fsdp_unmeasured", "fsdp_resumes", "fsdp_breaks"),
            folder=command.ROOT,
            env=command.environment(
                folder / "cache", OMP_NUM_THREADS="1", MASTER_PORT=str(port), **as_slurm_does(task, 2)
            ),
            output=printed[task],
            errors=printed[task],
        )
        for task in range(2)
    ]
    for process in pair:
        process.join(300)
    for process in pair:
        process.kill()  # no effect, unless it hangs
        process.join()
    assert [process.exitcode for process in pair] == [0, 0], "\n".join(file.read_text() for file in printed)
    shutil.copytree(folder / "fsdp_breaks", folder / "one_resumes")
    make("one_resumes", str(tiny), str(table_file), folder, devices=1)
    return folder


def watched(fits: Path, name: str) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads((fits / name / "watched.json").read_text())
    return noted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "same"),
    [(name, "one") for name in ("ddp", "fsdp", "fsdp_resumes", "one_resumes")]
    + [("fsdp_unmeasured", "one_unmeasured")],
)
def test_losses_gradients_and_weights_are_those_of_one_process(fits: Path, name: str, same: str) -> None:
    one, other = watched(fits, same), watched(fits, name)
    made = STEPS - other["resumed_from"]
    assert other["resumed_from"] == (2 if name.endswith("resumes") else 0)
    assert min(one["norms"]) > CLIP
    np.testing.assert_allclose(other["norms"], one["norms"][-made:], rtol=1e-5)
    np.testing.assert_allclose(other["clipped"], [CLIP] * made, rtol=1e-5)
    curves = [pd.read_csv(fits / own / "curve.csv") for own in (same, name)]
    pd.testing.assert_frame_equal(curves[1], curves[0], check_exact=False, rtol=0, atol=1e-5)
    expected, weights = (load_file(next((fits / own / "model").rglob("model.safetensors"))) for own in (same, name))
    assert weights.keys() == expected.keys()
    for part in weights:
        # A key's bias changes no vector: its gradient is rounding alone, which Adam makes a whole step of.
        if not part.endswith("key.bias"):
            np.testing.assert_allclose(weights[part], expected[part], atol=1e-5, err_msg=part)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "one_resumes", "ddp", "fsdp", "fsdp_unmeasured", "fsdp_resumes"])
def test_weights_that_have_no_part_in_the_loss_are_exported_as_they_were(fits: Path, name: str) -> None:
    start, weights = (
        load_file(next((fits / own).rglob("model.safetensors"))) for own in ("tiny", Path(name) / "model")
    )
    # To the last bit: weight decay moves a weight by a hundred-thousandth of it at each step.
    unchanged = {part for part in start if (weights[part] == start[part]).all()}
    assert unchanged == {"pooler.dense.weight", "pooler.dense.bias"}


@pytest.mark.slow
def test_an_export_loads_and_is_the_folder_that_one_process_writes(fits: Path) -> None:
    one, fsdp = (
        {path.relative_to(fits / own): path for path in (fits / own / "model").rglob("*") if path.is_file()}
        for own in ("one", "fsdp")
    )
    assert one.keys() == fsdp.keys()
    for name, path in one.items():
        if path.suffix == ".json":
            assert path.read_bytes() == fsdp[name].read_bytes(), name
    encoders = [SentenceTransformer(str(fits / own / "model"), device="cpu") for own in ("one", "fsdp")]
    expected, vectors = (encoder.encode(["A promise is a promise.", "They feed the hungry."]) for encoder in encoders)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.slow
def test_no_more_layers_are_gathered_than_compute(fits: Path) -> None:
    assert watched(fits, "fsdp")["most_gathered"] == 0
    # With gradient caching, which embeds within the backward pass.
    assert watched(fits, "fsdp_unmeasured")["most_gathered"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"trainer.precision": "16-mixed", "trainer.accelerator": "gpu"},
            "strategy=fsdp does not have; give bf16-mixed",
        ),
        ({"trainer.devices": 1}, "divides the encoder among several devices, and there is one"),
        ({"stage": "distill", "trainer.devices": "auto"}, "stage=distill runs in one process"),
    ],
)
def test_what_cannot_be_sharded_is_refused_in_one_line(
    change: dict[str, Any], message: str, tiny: Path, table_file: Path, tmp_path: Path
) -> None:
    given = {"trainer": "fsdp", "trainer.accelerator": "cpu", "trainer.precision": "32-true", "backbone": "any"}
    data = {} if "stage" in change else {"data.train": str(table_file)}
    with pytest.raises(InputError) as error:
        train(output_dir=tmp_path / "out", **(given | {"backbone.model": str(tiny)} | data | change))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
