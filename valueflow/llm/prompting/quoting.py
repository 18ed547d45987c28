r"""Texts in prompts, shown so that none can pass for an instruction or for another item.

Each text becomes one JSON string: it cannot end its line, close its quotes or begin an item. Inside, whatever a chat
template or a tokenizer might take for a token of its own (`<|im_end|>`, `</s>`, `[INST]`) is written with a JSON escape
for its first character, so that no special token comes from a text. Decoding the string gives the text back.
"""

import json
import re

TRUNCATION_MARK = " [...]"
"""What follows a truncated text."""

_TOKENS = (
    r"<(?=[/|!?A-Za-z_\uff5c])"  # <|im_end|>, </s>, <start_of_turn>, and with a full-width bar
    r"|\[(?=/?[A-Za-z_][A-Za-z0-9_]*\])"  # [INST], [/INST], [gMASK], [control_8]
)
_TOKEN = re.compile(_TOKENS)
_ESCAPED = re.compile(
    # What is not seen, or ends a line
    "[\x7f-\x9f\u00ad\u034f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\uffff\ud800-\udfff]"
    rf"|{_TOKENS}"
    "|[\ufe00-\ufe0e\U000e0000-\U000e0fff]"  # tags and variants: letters that nobody sees
)


def quote_text(text: str, most_bytes: int) -> tuple[str, bool]:
    """Return a text as a JSON string, and whether it is truncated.

    Parameters
    ----------
    text
        Any text.
    most_bytes
        Most bytes of UTF-8 between the quotes, escapes counted. A longer text is shown up to the
        last character that fits, followed by `TRUNCATION_MARK`. Tokenizers make no more tokens than bytes
        of a text, so that this bounds a prompt's length for every model.
    """
    # No character takes less than a byte, so nothing beyond so many characters can be shown.
    shown = _quoted(text[: most_bytes + 1])
    if len(text) <= most_bytes and _size(shown) <= most_bytes:
        return shown, False
    fits, too_many = 0, most_bytes + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _size(_quoted(text[:middle])) <= most_bytes:
            fits = middle
        else:
            too_many = middle
    return _quoted(text[:fits])[:-1] + TRUNCATION_MARK + '"', True


def escape_special_tokens(text: str, *, invisible: bool = True) -> str:
    """Escape what might be taken for a special token and, unless told otherwise, characters that nobody sees."""
    return (_ESCAPED if invisible else _TOKEN).sub(_escape, text)


def _quoted(text: str) -> str:
    return _ESCAPED.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match.group())[1:-1] if match.group() > "\x7e" else f"\\u{ord(match.group()):04x}"


def _size(quoted: str) -> int:
    return len(quoted.encode()) - 2
