"""What servers say when they refuse: what it means, and how it is worded for users."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from valueflow.run import InputError, nearest, shorten

if TYPE_CHECKING:
    from openai import APIStatusError

    from valueflow.llm.engines.server.settings import ServerModel

_LONGEST_QUOTE = 300

_TOO_LONG = re.compile(
    r"context[ _]?(length|window|size)|exceed_context"
    r"|maximum (prompt|model|input|context) length|longer than the maximum|input token count|number of tokens allowed"
    r"|\b(prompt|input|messages?|request)\b.{0,60}\btoo (long|large)",
    re.IGNORECASE,
)
_FLAGGED = re.compile(r"moderat|flagged|violat|safety|guideline|content[ _](policy|filter)", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(
    r"\bmodel_not_found\b|not a valid model|\bmodel\b.{0,100}\b(does not exist|not found)\b", re.I
)


class ServerErrors:
    """The error messages about one server: one line each, and the key in none of them."""

    def __init__(self, settings: "ServerModel", key: str) -> None:
        self.key = key
        self._variable = settings.api_key_env
        self._url = settings.base_url

    def clean(self, text: str) -> str:
        """Take the key, line breaks and control characters out of a text, and most of its length."""
        text = text.replace(self.key, "***") if self.key else text
        return shorten("".join(sign if sign.isprintable() else " " for sign in text).strip(), _LONGEST_QUOTE)

    def quote(self, error: "APIStatusError") -> str:
        """Return the server's own words; empty where there are none for people to read."""
        return self.clean(_message(error.body))

    def fault(self, error: "APIStatusError") -> str:
        """Return a short reason for a failed call."""
        status = f"status {error.status_code}"
        if error.status_code == 429 or error.status_code >= 500:
            # These pass, and their words differ from call to call; a code such as insufficient_quota does not.
            code = str(error.code or "")
            return f"{status} ({code})" if code.isidentifier() and self.clean(code) == code else status
        quote = self.quote(error)
        return f"{status}: {quote}" if quote else status

    def key_refused(self, error: "APIStatusError") -> InputError:
        """Say that the key is refused, or that one is needed."""
        if self._variable is None:
            return InputError(
                f"{self._url} asks for a key ({self.fault(error)}); "
                "set llm.api_key_env to the NAME of the variable that holds it"
            )
        return InputError(f"{self._url} refuses the key in {self._variable} ({self.fault(error)})")

    def no_such_model(self, error: "APIStatusError", model: str, names: Sequence[str]) -> InputError:
        """Say which models there are, the nearest first."""
        ordered = sorted(names, key=lambda name: -SequenceMatcher(None, model.casefold(), name.casefold()).ratio())
        hint = nearest(model, ordered) if ordered else "it lists no models; llm.base_url mostly ends in /v1"
        return InputError(f"{self._url} has no model '{model}' ({self.fault(error)}); {self.clean(hint)}")

    def not_there(self, reason: str) -> InputError:
        """Say that the list of models could not be had."""
        return InputError(
            f"GET {self._url}/models: {self.clean(reason)}; is the server running, and is llm.base_url its address?"
        )


def is_too_long(error: "APIStatusError") -> bool:
    """Return whether a prompt does not fit into the model."""
    return error.status_code in (400, 413, 422) and bool(_TOO_LONG.search(_code_and_message(error)))


def is_refused_key(error: "APIStatusError") -> bool:
    """Return whether the key is refused; some servers also answer with 403 to what they find offensive."""
    return error.status_code == 401 or (error.status_code == 403 and not _FLAGGED.search(_message(error.body)))


def is_missing_model(error: "APIStatusError") -> bool:
    """Return whether the server has no model of that name."""
    return error.status_code == 404 or (
        error.status_code == 400 and bool(_NO_SUCH_MODEL.search(_code_and_message(error)))
    )


def _code_and_message(error: "APIStatusError") -> str:
    return f"{error.code} {_message(error.body)}"


def _message(body: object) -> str:
    """Find the words in the body of a refusal; servers put them in different places."""
    match body:
        case str():
            return "" if body.lstrip().startswith("<") else body
        case [first, *_]:
            return _message(first)
        case {"message": str() as message}:
            return message
        case {"error": inner} | {"detail": inner} | {"msg": inner}:
            return _message(inner)
    return ""
