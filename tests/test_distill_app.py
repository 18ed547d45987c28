"""`python train.py stage=distill` as a person runs it: a server's model teaches a tiny encoder, which then judges."""

from pathlib import Path

import pandas as pd
import pytest

from tests import command
from tests.command import Finished, environment, refused, succeeded, summary_in
from tests.hives.tiny import training_rows
from tests.llm.fault_server import Call, FaultServer, Reply, completion, first_token

ROOT = Path(__file__).parents[1]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def run(app: str, work: Path, *arguments: str, fresh: bool = False) -> Finished:
    env = environment(work.parent / "cache", OMP_NUM_THREADS="1")
    return command.run(ROOT / app, *arguments, folder=work, env=env, fresh=fresh, timeout=600)


def taking_sides(call: Call) -> Reply:
    """Answer as a model does that reads the words of the sentences in `tiny`."""
    support = -0.2 if "rightly" in call.question else -2.5
    support -= 0.1 * ("mayor" in call.question)
    return completion("support", logprobs=first_token({"support": support, "oppose": -1.0, "neutral": -3.0}, "support"))


def small(tiny: Path, work: Path, *more: str) -> tuple[str, ...]:
    texts = work.parent / "texts.csv"
    training_rows()[["text"]].to_csv(texts, index=False)
    ratings = [-9.0, -6, -2, 0, 3, 6, 9]
    anchors = [{"theory": "pvq", "value": "power", "text": f"rating {it}", "final_rating": it} for it in ratings]
    pd.DataFrame(anchors).to_csv(work.parent / "anchors.csv", index=False)
    return (
        "stage=distill",
        "backbone=any",
        f"backbone.model={tiny}",
        "trainer=cpu",
        f"data.texts={texts}",
        "data.theory=duty",
        "data.held_out=0.2",
        f"stage.vidb={work.parent / 'anchors.csv'}",
        "stage.values_per_text=5",
        "stage.batch_size=16",
        "stage.head_learning_rate=1e-2",
        "optimizer.learning_rate=3e-3",
        "epochs=8",
        "validate_every=10",
        *more,
    )


@pytest.mark.slow
def test_a_servers_model_teaches_an_encoder_that_judges(tiny: Path, work: Path) -> None:
    with FaultServer(taking_sides) as server:
        teacher = ("teacher=logprob", "llm=local", f"llm.base_url={server.url}", "llm.model=m")
        arguments = small(tiny, work, *teacher)
        shown = succeeded(run("train.py", work, *arguments, "hydra.run.dir=out")).stdout
        asked = len(server.calls)
        assert "Spearman's correlation with logprob m on held-out texts" in shown
        assert "use it: judge=embedding judge.encoder=" in shown
        summary = summary_in(work / "out")
        assert summary["task"] == "distill"
        assert summary["data"]["pairs"] == 108 * 5
        assert summary["judging"]["calls"] == 108 * 5
        assert summary["correlation"]["student"]["low"] > 0.4
        assert summary["teacher"]["wordings"] == ["stance"]
        table = pd.read_csv(work / "out" / "agreement.csv")
        assert set(table["theory"]) == {"duty"}
        assert {path.name for path in (work / "out").iterdir()} >= {"model", "curve.csv", "summary.json"}
        # The teacher's answers are cached: another student costs nothing.
        succeeded(run("train.py", work, *arguments, "stage.freeze_encoder=true", "max_steps=2", "hydra.run.dir=frozen"))
        assert len(server.calls) == asked
        assert summary_in(work / "frozen")["judging"]["cache_hits"] == 108 * 5
    # It judges on values of another theory, too, without any call.
    judged = run(
        "evaluate.py",
        work,
        "value=power",
        "intensity=2",
        f"judge.encoder={work / 'out' / 'model'}",
        "judge.head=distilled",
        "judge_check=false",
        "progress=false",
        "hydra.run.dir=scores",
    )
    succeeded(judged)
    scored = summary_in(work / "scores")
    assert scored["judge"]["head"]["teacher"]["kind"] == "logprob"
    assert pd.read_csv(work / "scores" / "scores.csv")["power_score"].notna().all()
    measured = run(
        "train.py", work, "task=test", "model=out/model", "data.test=demo", "trainer=cpu", "hydra.run.dir=test"
    )
    succeeded(measured)


def test_wrong_input_is_one_line(tiny: Path, work: Path) -> None:
    refused(run("train.py", work, *small(tiny, work), "data.texts=tabel.csv"), work, "tabel.csv does not exist")


def test_a_head_that_is_not_there_is_one_line(tiny: Path, work: Path) -> None:
    asked = run("evaluate.py", work, "value=power", f"judge.encoder={tiny}", "judge.head=distilled")
    refused(asked, work, "has no distilled head")
