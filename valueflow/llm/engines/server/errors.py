"""What servers say when they refuse: what it means, and how it is worded for users."""

import json
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

_USED_UP = re.compile(
    r"insufficient_quota|\bcredits\b|\bcredit (balance|limit)|insufficient[ _](balance|funds|credit)"
    r"|spend(ing)? limit|payment required|out of funds",
    re.IGNORECASE,
)
_STATUS_IN_WORDS = (
    (429, re.compile(r"rate[ _-]?limit|too many requests|throttl|resource_exhausted", re.IGNORECASE)),
    (
        503,
        re.compile(
            r"overload|unavailable|timed? ?out|bad gateway|upstream|capacity|network_error|insufficient_system_resource"
            r"|(server|internal)[ _]error",
            re.IGNORECASE,
        ),
    ),
)
_NOT_TAKEN = re.compile(
    r"unsupported|not support|unrecognized|unknown (name|field|parameter)|not permitted|not allowed|deprecated|instead",
    re.IGNORECASE,
)
_SETTINGS_INSTEAD = (
    (re.compile(r"[`'\"]max_completion_tokens\b"), "llm.token_limit_key=max_completion_tokens"),
    (re.compile(r"[`'\"]temperature\b"), "llm.extra_body={temperature:null}"),
    (re.compile(r"[`'\"]seed\b"), "llm.extra_body={seed:null}"),
)
_VARIABLE_WORD = re.compile(r"\S*\d\S*")


class ServerErrors:
    """The error messages about one server: one line each, and the key in none of them."""

    def __init__(self, settings: "ServerModel", url: str, key: str) -> None:
        self.key = key
        self.url = url
        self._variable = settings.api_key_env

    def clean(self, text: str) -> str:
        """Take the key, line breaks and control characters out of a text, and most of its length."""
        text = text.replace(self.key, "***") if self.key else text
        return shorten("".join(sign if sign.isprintable() else " " for sign in text).strip(), _LONGEST_QUOTE)

    def quote(self, error: "APIStatusError") -> str:
        """Return the server's own words; empty where there are none for people to read."""
        return self.clean(_message(error.body))

    def fault(self, error: "APIStatusError") -> str:
        """Return a short reason for a failed call."""
        status, quote = f"status {error.status_code}", self.quote(error)
        if error.status_code == 429 or error.status_code >= 500:
            # Numbers, times and names of requests differ from call to call; what is counted must not.
            quote = _VARIABLE_WORD.sub("...", quote)
            code = str(error.code or "")
            status = f"{status} ({code})" if code.isidentifier() and self.clean(code) == code else status
        return f"{status}: {quote}" if quote else status

    def used_up(self, error: "APIStatusError") -> InputError:
        """Say that there is no money or quota left for further calls."""
        return InputError(
            f"{self.url} takes no more calls ({self.fault(error)}); cached completions serve when the same command is "
            "started again"
        )

    def key_refused(self, error: "APIStatusError") -> InputError:
        """Say that the key is refused, or that one is needed."""
        if self._variable is None:
            return InputError(
                f"{self.url} asks for a key ({self.fault(error)}); "
                "set llm.api_key_env to the NAME of the variable that holds it"
            )
        return InputError(f"{self.url} refuses the key in {self._variable} ({self.fault(error)})")

    def no_such_model(self, error: "APIStatusError", model: str, names: Sequence[str]) -> InputError:
        """Say which models there are, the nearest first."""
        ordered = sorted(names, key=lambda name: -SequenceMatcher(None, model.casefold(), name.casefold()).ratio())
        hint = nearest(model, ordered) if ordered else "it lists no models; llm.base_url mostly ends in /v1"
        return InputError(f"{self.url} has no model '{model}' ({self.fault(error)}); {self.clean(hint)}")

    def not_there(self, reason: str) -> InputError:
        """Say that the list of models could not be had."""
        return InputError(
            f"GET {self.url}/models: {self.clean(reason)}; is the server running, and is llm.base_url its address?"
        )


def is_too_long(error: "APIStatusError") -> bool:
    """Return whether a prompt does not fit into the model."""
    return error.status_code in (400, 413, 422) and bool(_TOO_LONG.search(_code_and_message(error)))


def is_passing(error: "APIStatusError") -> bool:
    """Return whether a fault is the server's and may pass: another server may well answer."""
    passes = error.status_code in (408, 409, 429) or error.status_code >= 500
    return passes and not is_used_up(error)


def is_used_up(error: "APIStatusError") -> bool:
    """Return whether money or quota is used up, so that no further call will be answered."""
    return error.status_code == 402 or (error.status_code in (403, 429) and says_used_up(_code_and_message(error)))


def says_used_up(words: str) -> bool:
    """Return whether the words of a refusal are about money or quota that is used up."""
    return bool(_USED_UP.search(words))


def setting_instead(error: "APIStatusError") -> str:
    """Return the setting under which a request lacks what its model does not take; empty for all other errors."""
    said = _code_and_message(error)
    if error.status_code not in (400, 422) or not _NOT_TAKEN.search(said):
        return ""
    return next((setting for name, setting in _SETTINGS_INSTEAD if name.search(said)), "")


def status_within(body: bytes) -> int | None:
    """Return the status that an error in the body of an answer has; None where there is an answer and no error.

    Servers that pass requests on to others have sent their status 200 before they know.
    """
    if b'"error"' not in body:
        return None
    try:
        match json.loads(body):
            case {"error": error} if error:
                return _own_status(error)
            case {"choices": [{"error": error}, *_]} if error:
                return _own_status(error)
    except (ValueError, RecursionError):
        pass
    return None


def _own_status(error: object) -> int | None:
    """Return the status that an error's code is, or that its words mean; 400 where they mean none that is known."""
    if not isinstance(error, dict | str):
        return None
    fields = {"message": error} if isinstance(error, str) else error
    code = fields.get("code")
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and re.fullmatch("[45][0-9]{2}", code)) else 0
    if 400 <= number < 600:
        return number
    words = f"{code} {fields.get('type')} {fields.get('status')} {_message(error)}"
    return next((status for status, pattern in _STATUS_IN_WORDS if pattern.search(words)), 400)


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
        case {"error": inner} | {"detail": inner} | {"msg": inner} | {"choices": [inner, *_]}:
            return _message(inner)
    return ""
