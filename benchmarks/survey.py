"""One pass of a survey with vLLM, against vLLM itself on the very same prompts: one raw batch of `LLM.chat`.

The pass is all that `steer.py preset=...` does with questions: reading and checking the files, wording prompts,
asking the engine, keeping every answer in the cache, reading options, accuracies. The peer gets the finished
conversations with the same constraints and does nothing with its answers. Both engines are loaded beforehand and
take turns, each turn with prompts that neither has seen. The model is the packaged SmolLM2: the smaller the model,
the more shows what a call takes beside it.
"""

import argparse
import csv
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import cannot_run, record

from valueflow import SurveyAnswers, steer
from valueflow.llm import VllmModel, model_folder, release, running_engine
from valueflow.opinionqa.answers import letter_constraint
from valueflow.opinionqa.prompts import default_conversation
from valueflow.opinionqa.questions import DEMO_FILE, load_questions
from valueflow.opinionqa.settings import OpinionQASettings
from valueflow.run import compose_group

TURNS = 3
WARM_UP = 40
BAR_RATIO = 0.95
REAL = Path(__file__).parents[2] / "shared" / "data"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=660, help="in a turn")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/survey.json"))
    options = parser.parse_args()
    try:
        from vllm import LLM, SamplingParams
        from vllm.sampling_params import StructuredOutputsParams
    except ImportError:
        return cannot_run("vLLM is not installed here; `make bench-vllm` has an environment with it")
    folder = str(model_folder("smollm2"))
    shared = {"dtype": "float32", "enforce_eager": True, "max_model_len": 4096}
    model = VllmModel.checked({"model": folder, **shared})
    running_engine(model)
    raw = LLM(model=folder, **shared)
    # The real survey where it is at hand, else the packaged one over and over.
    is_real = REAL.is_dir()
    survey = REAL / "opinionqa_sample.json" if is_real else DEMO_FILE
    entries = json.loads(survey.read_text(encoding="utf-8"))
    entries = [entries[number % len(entries)] for number in range(options.questions)]

    with tempfile.TemporaryDirectory() as place:
        os.environ["VALUEFLOW_CACHE"] = place
        questions, relevance = Path(place) / "questions.json", Path(place) / "relevance.csv"
        questions.write_text(json.dumps(entries), encoding="utf-8")
        with relevance.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["question", "top_score"])
            writer.writerows([entry["question"], 0.0] for entry in entries)

        def turn_settings(turn: int) -> dict[str, Any]:
            """Return a survey whose prompts begin as no other turn's, so that no engine has computed a part of them."""
            own = compose_group("opinionqa", "default")
            return {
                **own,
                "questions": str(questions),
                "profiles": str(REAL / "profiles") if is_real else "demo",
                "relevance": str(relevance),
                "threshold": 1.0,  # above all relevances: one pass
                "default_prompt": f"Turn {turn}. {own['default_prompt']}",
            }

        def pass_seconds(turn: int, limit: int | None = None) -> float:
            settings = turn_settings(turn)
            start = time.perf_counter()
            result = steer(preset="phi4", llm=model, opinionqa=settings, limit=limit, progress=False)
            seconds = time.perf_counter() - start
            assert isinstance(result, SurveyAnswers)
            assert result.summary["passes"]["default"]["unparsable"] == 0
            return seconds

        def raw_seconds(turn: int, limit: int | None = None) -> float:
            settings = OpinionQASettings.checked(turn_settings(turn))
            items = load_questions(settings.questions, limit)
            conversations = [list(default_conversation(settings, item)) for item in items]
            sampling = [
                SamplingParams(
                    temperature=0.0,
                    max_tokens=settings.max_tokens,
                    structured_outputs=StructuredOutputsParams(grammar=letter_constraint(len(item.options)).grammar),
                )
                for item in items
            ]
            start = time.perf_counter()
            raw.chat(conversations, sampling, use_tqdm=False)
            return float(time.perf_counter() - start)

        pass_seconds(0, WARM_UP), raw_seconds(0, WARM_UP)  # the first turn of an engine compiles its grammars
        # Who goes first changes from turn to turn.
        turns = [
            (pass_seconds(turn), raw_seconds(turn)) if turn % 2 else (raw_seconds(turn), pass_seconds(turn))[::-1]
            for turn in range(1, TURNS + 1)
        ]
        release()
    ours, peer = (statistics.median(seconds) for seconds in zip(*turns, strict=True))
    ratio = peer / ours
    print(f"a pass of {options.questions} questions:   {ours:6.1f} s, {options.questions / ours:.1f} a second")
    print(f"raw LLM.chat, one batch:   {peer:6.1f} s; our throughput is {ratio:.1%} of it   bar {BAR_RATIO:.0%}")
    record(
        options.out,
        {
            "questions": options.questions,
            "real_survey": is_real,
            "turns_seconds": [[round(seconds, 3) for seconds in turn] for turn in turns],
            "pass_seconds": ours,
            "raw_batch_seconds": peer,
            "ratio_to_raw_batch": ratio,
            "bars": {"ratio_to_raw_batch": BAR_RATIO},
        },
    )
    return 0 if ratio >= BAR_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
