"""A run divided among machines: which rows are whose, what each shard records, and which shards make a whole."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueflow.run.errors import InputError, shorten
from valueflow.run.outputs import plain
from valueflow.run.summary import SUMMARY_FILE, read_record, versions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DIVISION_KEYS = ("shard", "merge")
"""Keys that say which rows a run is about, in the YAML of every command whose rows can be divided."""

ANSWERS_FILE = "answers.jsonl"
"""What language models answered in a shard, in its folder."""

_WRITTEN = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_MOST_DIFFERENCES = 3

_OF_A_MACHINE = (
    *("base_url", "api_key_env", "concurrency", "requests_per_minute", "timeout", "max_retries"),
    *("devices", "engine"),
)
"""Settings that say by which server or device work is done; each machine may have its own."""


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a run's rows, numbered from 1."""

    number: int
    count: int

    @classmethod
    def read(cls, written: object) -> "Shard":
        """Read `2/4`.

        Raises
        ------
        InputError
            It is no such pair.
        """
        found = _WRITTEN.fullmatch(str(written).strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError(f"shard={shorten(str(written))}: give i/n with i from 1 to n, as shard=2/4")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class ShardFolder:
    """The folder of a finished shard, and its summary."""

    path: Path
    summary: Mapping[str, Any]

    @property
    def shard(self) -> Shard:
        """Which one it is."""
        return Shard.read(self.record.get("part"))

    @property
    def record(self) -> Mapping[str, Any]:
        """What the summary says of the division."""
        found: Mapping[str, Any] = self.summary["shard"]
        return found


def owners(keys: "npt.NDArray[np.uint64]", count: int) -> "npt.NDArray[np.int64]":
    """Return the number, from 1, of the shard that each row (N,) belongs to, by its key alone."""
    import numpy as np

    return (keys % np.uint64(count)).astype(np.int64) + 1


@dataclass
class Share:
    """The rows that a run is about: all, those of a shard, or all as shards have left them.

    Attributes
    ----------
    shard
        Whose rows; None: all.
    merged
        The shards that are joined, in order; empty where none are.
    settings, digest
        What decides the result, and its SHA-256, by which the shards of one run know each other.
    folder
        Where a shard leaves what models answered.
    """

    shard: Shard | None = None
    merged: tuple[ShardFolder, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    folder: Path | None = None
    _rows: dict[int, int] = field(default_factory=dict, init=False)
    _sums: dict[int, int] = field(default_factory=dict, init=False)

    @property
    def is_whole(self) -> bool:
        """Whether this is an ordinary run."""
        return self.shard is None and not self.merged

    @property
    def count(self) -> int:
        """Into how many parts the rows are divided."""
        return self.shard.count if self.shard is not None else max(len(self.merged), 1)

    @property
    def rows(self) -> int:
        """Rows of all shards that were counted."""
        return sum(self._rows.values())

    @property
    def answers(self) -> Path | None:
        """Where a shard records what models answer; None where nothing is recorded."""
        return None if self.shard is None or self.folder is None else self.folder / ANSWERS_FILE

    def refuse(self, reason: str) -> None:
        """Stop a run that cannot be divided, if it is to be; `reason` says why it cannot."""
        if self.shard is not None:
            raise InputError(f"shard={self.shard}: {reason}")
        if self.merged:
            raise InputError(f"merge: {reason}")

    def take(self, keys: "npt.NDArray[np.uint64]") -> "npt.NDArray[np.bool_]":
        """Return which of all rows, given by their keys (N,), are this run's; errors as in `check_rows`."""
        self.count_rows(keys)
        self.check_rows()
        return self.own(keys)

    def own(self, keys: "npt.NDArray[np.uint64]") -> "npt.NDArray[np.bool_]":
        """Return which rows, given by their keys (N,), are this run's."""
        import numpy as np

        if self.shard is None:
            return np.ones(len(keys), dtype=bool)
        return np.asarray(owners(keys, self.count) == self.shard.number, dtype=np.bool_)

    def count_rows(self, keys: "npt.NDArray[np.uint64]") -> None:
        """Count rows that have been read; those of a long file come some at a time."""
        import numpy as np

        of = owners(keys, self.count)
        for number in np.unique(of).tolist():
            own = keys[of == number]
            self._rows[number] = self._rows.get(number, 0) + len(own)
            # A sum does not depend on the order, and one row more, less or changed makes another.
            total = self._sums.get(number, 0) + int(np.add.reduce(own, dtype=np.uint64))
            self._sums[number] = total % 2**64

    def check_rows(self) -> None:
        """Check all rows once they are counted, and begin the record of a shard's answers.

        Raises
        ------
        InputError
            A shard has no row, or the rows are not those that the shards have had.
        """
        for number in range(1, self.count + 1):
            if self.shard is not None and not self._rows.get(number):
                raise InputError(
                    f"shard={self.shard}: {self.rows:,} rows leave none to shard {number}/{self.count}; divide them "
                    "among fewer"
                )
        for found in self.merged:
            number = found.shard.number
            now = [self._rows.get(number, 0), f"{self._sums.get(number, 0):016x}"]
            if now != [found.record.get("rows"), found.record.get("keys")]:
                raise InputError(
                    f"merge: shard {found.shard} in {found.path} had {found.record.get('rows')} rows, and of the input "
                    f"as it is now it would have {now[0]}"
                    + ("" if now[0] != found.record.get("rows") else " others")
                    + "; give the input that the shards had, or run the shard again"
                )
        if self.answers is not None:
            self.answers.parent.mkdir(parents=True, exist_ok=True)
            # Of an attempt that was killed; what that one was answered comes from the cache again.
            self.answers.unlink(missing_ok=True)

    def figures(self) -> dict[str, Any]:
        """Return what the summary says of the division; empty for an ordinary run."""
        if self.shard is not None:
            number = self.shard.number
            return {
                "shard": {
                    "part": str(self.shard),
                    "rows": self._rows.get(number, 0),
                    "of_rows": self.rows,
                    "keys": f"{self._sums.get(number, 0):016x}",
                    "digest": self.digest,
                    "settings": self.settings,
                }
            }
        return {"merged": [str(found.path) for found in self.merged]} if self.merged else {}


_CURRENT: ContextVar[Share] = ContextVar("share")


def current_share() -> Share:
    """Return the share of the run that goes on here; outside of runs that of an ordinary one."""
    return _CURRENT.get(Share())


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Let everything that a run asks on its way know whose rows it is about."""
    token = _CURRENT.set(share)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def share_of(command: str, settings: Mapping[str, Any], folder: Path | None, division: Mapping[str, Any]) -> Share:
    """Return what a run is about.

    Parameters
    ----------
    command, settings
        Its name, and its settings without those of the division.
    folder
        Where its files go.
    division
        `shard` and `merge` as given; both may be missing or None.

    Raises
    ------
    InputError
        Both are given, one cannot be read, a shard has no folder, or the folders to be merged do not hold each shard
        of this run once.
    """
    written, sources = division.get("shard"), division.get("merge")
    if written is None and sources is None:
        return Share()
    if written is not None and sources is not None:
        raise InputError(f"shard={written} and merge={sources}: a run is one shard, or it joins them all; give one")
    from valueflow.run.resuming import result_settings  # loads Hydra, which whoever asks models does without

    decisive = _decisive(result_settings(settings))
    digest = hashlib.sha256(
        json.dumps([command, versions()["valueflow"], decisive], sort_keys=True).encode("utf-8", "surrogatepass")
    ).hexdigest()
    if written is not None:
        shard = Shard.read(written)
        if folder is None:
            raise InputError(f"shard={shard}: 'output_dir' is not set; merge reads what a shard leaves in its folder")
        return Share(shard, (), decisive, digest, folder)
    named = [sources] if isinstance(sources, str) else sources
    if not (isinstance(named, list | tuple) and named and all(isinstance(name, str) for name in named)):
        raise InputError(f"merge={sources}: give the folder of the shards, or a list of folders")
    return Share(None, _found(named, digest, decisive), decisive, digest)


def _decisive(node: Any) -> Any:
    """Return settings as JSON has them, without what a shard may have of its own.

    Of an object that a Python caller gives, its class counts: rows and questions are compared by keys of their own.
    """
    if isinstance(node, Mapping):
        return {key: _decisive(entry) for key, entry in node.items() if key not in _OF_A_MACHINE}
    if isinstance(node, list | tuple):
        return [_decisive(entry) for entry in node]
    found = plain(node)
    return type(node).__qualname__ if isinstance(found, str) and not isinstance(node, str | Path) else found


def _found(sources: Sequence[str], digest: str, settings: Mapping[str, Any]) -> tuple[ShardFolder, ...]:
    """Return all shards of a run, in order."""
    by_number: dict[int, ShardFolder] = {}
    count: Shard | None = None
    for source in sources:
        held = list(_shards_in(Path(source)))
        ours = [found for found in held if found.record.get("digest") == digest]
        if not ours:
            raise InputError(f"merge: {source} holds no shard of this run{_why(held, settings)}")
        for found in ours:
            shard = found.shard
            if count is not None and shard.count != count.count:
                raise InputError(
                    f"merge: {found.path} is shard {shard}, another folder shard {count}; give folders of one division"
                )
            if shard.number in by_number:
                raise InputError(
                    f"merge: {by_number[shard.number].path} and {found.path} are both shard {shard}; give one of them"
                )
            by_number[shard.number], count = found, shard
    assert count is not None
    missing = [number for number in range(1, count.count + 1) if number not in by_number]
    if missing:
        named = ", ".join(f"{number}/{count.count}" for number in missing[:10]) + (" ..." if missing[10:] else "")
        raise InputError(
            f"merge: of {count.count} shards {len(missing)} are missing or not finished: {named}; run them: the same "
            f"command with shard={missing[0]}/{count.count}"
        )
    return tuple(by_number[number] for number in sorted(by_number))


def _shards_in(folder: Path) -> Iterator[ShardFolder]:
    from valueflow.run.folders import files_named  # loads Hydra, which whoever asks models does without

    for file in files_named(folder, SUMMARY_FILE):
        summary = read_record(file) or {}
        if isinstance(summary.get("shard"), dict):
            yield ShardFolder(file.parent, summary)


def _why(held: Sequence[ShardFolder], settings: Mapping[str, Any]) -> str:
    """Say what is in a folder instead: how the nearest shard differs from the run."""
    if not held:
        return ": it holds none at all; give the folder of finished shards"
    now = _flat(settings)
    differences = []
    for found in held:
        then = _flat(found.record.get("settings") or {})
        differences.append([key for key in now | then if now.get(key) != then.get(key)])
    least = min(range(len(held)), key=lambda place: len(differences[place]))
    found, keys = held[least], differences[least]
    if not keys:
        return f": {found.path} was made by another command or version"
    then = _flat(found.record["settings"])
    words = [f"{key}={shorten(str(then.get(key)))} (here {shorten(str(now.get(key)))})" for key in keys]
    more = f" and {len(keys) - _MOST_DIFFERENCES} more" if len(keys) > _MOST_DIFFERENCES else ""
    return f": the nearest, {found.path}, has {', '.join(words[:_MOST_DIFFERENCES])}{more}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, entry in settings.items():
        flat |= _flat(entry, f"{prefix}{key}.") if isinstance(entry, Mapping) else {f"{prefix}{key}": entry}
    return flat
