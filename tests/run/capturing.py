"""A logger of a test's own: it writes down what it is told."""

import json
from collections.abc import Mapping
from typing import Any

from valueflow.run import Outcome, RunInfo, RunLogger, RunRecord, SweepInfo

HEARD = "heard.jsonl"


class Capturing(RunLogger):
    """Writes a line for each thing it is told, in the folder of the run or the sweep."""

    def start(self, run: RunInfo) -> RunRecord:
        return _Record(run)

    def end_sweep(self, sweep: SweepInfo) -> Mapping[str, Any]:
        with (sweep.folder / HEARD).open("a") as stream:
            jobs = [[job.name, list(job.overrides), job.summary["value"]] for job in sweep.finished.values()]
            failed = [[job.name, list(job.overrides), job.error] for job in sweep.failed]
            told = {"command": sweep.command, "jobs": jobs, "failed": failed, "exit_code": sweep.exit_code}
            print(json.dumps(told), file=stream)
        return {"capturing": {"jobs": len(sweep.finished)}}


class _Record(RunRecord):
    def __init__(self, run: RunInfo) -> None:
        self.run = run
        options = dict(run.options)
        self._write("start", command=run.command, name=run.name, config=dict(run.config), options=options)

    def progress(self, unit: str, done: int, failed: int, total: int) -> None:
        self._write("progress", unit=unit, done=done, failed=failed, total=total)

    def finish(self, outcome: Outcome) -> Mapping[str, Any]:
        self._write("finish", files=sorted(path.name for path in self.run.folder.iterdir()))
        return {"capturing": {"n": outcome.summary.get("n")}}

    def fail(self, fault: str, exit_code: int) -> None:
        self._write("fail", fault=fault, exit_code=exit_code)

    def _write(self, event: str, **told: Any) -> None:
        with (self.run.folder / HEARD).open("a") as stream:
            print(json.dumps({"event": event, **told}), file=stream)
