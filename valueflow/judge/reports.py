"""What judging took, added up over batches."""

from collections.abc import Mapping, Sequence

_SUMS = (
    "calls",
    "cache_hits",
    "repeated",
    "failed",
    "with_thoughts",
    "prompt_tokens",
    "completion_tokens",
    "cached_prompt_tokens",
    "cached_completion_tokens",
    "seconds",
    "asked_again",
)

_LARGEST = "texts_truncated"


def summed_report(reports: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Add up the reports of several batches by the same judges, as `RankedWindows.report`.

    Calls, tokens and seconds are summed. Batches show much the same texts, so the most truncated texts of any batch
    count. Of all else, such as the state of the cache, the last counts.
    """
    total: dict[str, object] = {}
    for report in reports:
        for key, entry in report.items():
            before = total.get(key)
            if isinstance(entry, Mapping):
                parts = [before] if isinstance(before, Mapping) and key != "cache" else []
                total[key] = summed_report([*parts, entry])
            elif isinstance(entry, int | float) and isinstance(before, int | float) and key in _SUMS:
                total[key] = before + entry
            elif isinstance(entry, int) and isinstance(before, int) and key == _LARGEST:
                total[key] = max(before, entry)
            else:
                total[key] = entry
    return total
