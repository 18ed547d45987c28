"""Arguments of a command line, put into the form that Hydra's parser takes."""

import os
import re
import shlex
from collections.abc import Iterable

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from valueflow.run.config import literal, option_with
from valueflow.run.errors import InputError, nearest
from valueflow.run.open_options import opened

_FLAGS_WITH_VALUE = (
    *("--cfg", "-c", "--package", "-p", "--info", "-i", "--experimental-rerun"),
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
)
"""Flags of Hydra's whose value is an argument of its own."""

_READ_WITHOUT_QUOTES = re.compile(r"[\w \t/\\+.$%*@?|:-]*", re.ASCII)
_STRUCTURE = re.compile(r"[()\[\]{},='\"]")


def with_quotes(arguments: list[str]) -> list[str]:
    """Quote the values of overrides that hold signs or letters for which Hydra's parser has no use, such as `</think>`.

    A value with brackets, commas, quotes or `=` is left as it is: these have a meaning there.
    """
    return [_with_quotes(argument) for argument in arguments]


def _with_quotes(argument: str) -> str:
    key, is_override, value = argument.partition("=")
    is_plain = argument.startswith("-") or not is_override or _READ_WITHOUT_QUOTES.fullmatch(value)
    # No shell expands `~/` there: Hydra's refusal is worded better than a file that is not there.
    is_home = value.startswith("~/")
    return argument if is_plain or is_home or _STRUCTURE.search(value) else f"{key}={_quoted(value)}"


def with_open_options(arguments: list[str]) -> list[str]:
    """Put options in the place of files and names that stand for one: `theory=FILE.json`, `llm=ORG/MODEL`.

    Raises
    ------
    InputError
        A sweep goes over both kinds.
    """
    result = []
    for argument in arguments:
        key, is_override, value = argument.partition("=")
        made = opened({key: value}, option_with) if is_override else {}
        result += [f"{name}={chosen}" for name, chosen in made.items()] or [argument]
    return result


_FLAGS = (
    *_FLAGS_WITH_VALUE,
    *("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"),
    *("--shell-completion", "-sc"),
)
"""All flags of a command."""


def check_flags(arguments: Iterable[str]) -> None:
    """Stop at a flag that there is not, such as a setting that is written as one.

    Raises
    ------
    InputError
        Says how the setting is written, or which flag was meant.
    """
    previous = ""
    for argument in arguments:
        flag, has_value, value = argument.partition("=")
        is_value = previous in _FLAGS_WITH_VALUE
        if argument.startswith("-") and not (is_value or _is_flag(argument)):
            name = flag.lstrip("-").replace("-", "_")
            if has_value:
                raise InputError(
                    f"{argument}: settings have no dashes: {name}={value} (in sweeps of Weights & Biases, "
                    "${args_no_hyphens})"
                )
            raise InputError(
                f"{argument} is no flag; a setting is written {name or 'key'}=...; {nearest(flag, _FLAGS)}"
            )
        previous = argument


def _is_flag(argument: str) -> bool:
    """Return whether an argument is a flag of a command, which may be cut short and is also written -cd=FOLDER."""
    flag = argument.partition("=")[0]
    return any(known == flag or (flag[:2] == "--" and known.startswith(flag)) for known in _FLAGS)


def how_to_quote(argument: str) -> str:
    """Word what to do with an argument that Hydra cannot read as `key=value`."""
    key, given, value = argument.partition("=")
    if not given:
        return "settings are written key=value"
    if value.startswith("~/"):
        return f"no shell expands ~ there; write {key}=$HOME/{value[2:]}"
    for quote in ("'", '"'):
        quoted = f"{key}={quote}{value}{quote}"
        if quote not in value and _is_readable(quoted):
            for_shell = shlex.quote(quoted) if {*quoted} & {*'$`\\"!'} else f'"{quoted}"'
            return (
                "values that hold = , : ( ) [ ] { } ~ or quotation marks need quotes of their own, and quotes around "
                f"them for the shell: {for_shell}"
            )
    return "values that hold = , ( ) [ ] { } ~ need quotes of their own; those within are written \\'"


def _is_readable(argument: str) -> bool:
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return True


def overrides_first(arguments: list[str]) -> list[str]:
    """Put overrides before flags: Hydra's parser takes no override after a flag that follows another."""
    overrides = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    return overrides + [argument for argument in arguments if argument not in overrides]


def with_positional(arguments: list[str], key: str) -> list[str]:
    """Turn plain arguments into one override of a key that holds a list of paths.

    An argument is plain if it names an existing folder, or if it is neither a flag, the value of one, nor an override
    (`key=value`, `~key`). A folder whose name looks like an override, or like a flag that there is not, is a folder.

    Parameters
    ----------
    arguments
        Without the name of the program.
    key
        The key, such as `folders`.

    Returns
    -------
    list of str
        The other arguments, and behind them `key=["...","..."]` if there are plain ones. Quoted in a way that every
        name stays what it is, also with commas, spaces, brackets, quotes, `=` or `${`.

    Raises
    ------
    InputError
        The key is given, too, or a name is no text.
    """
    plain: list[str] = []
    others: list[str] = []
    previous = ""
    for argument in arguments:
        (plain if previous not in _FLAGS_WITH_VALUE and _is_plain(argument) else others).append(argument)
        previous = argument
    if not plain:
        return arguments
    for name in plain:
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise InputError(f"{key}: the name {name!a} is not UTF-8, so no result could hold it; rename the folder")
    if any(argument.lstrip("+").startswith(f"{key}=") for argument in others):
        raise InputError(f"{key} are given twice: as {key}=... and as '{plain[0]}'; give them in one way")
    return [*others, f"{key}=[{','.join(map(_quoted, plain))}]"]


def _is_plain(argument: str) -> bool:
    if os.path.isdir(argument) and not _is_flag(argument):
        return True
    return "=" not in argument and not argument.startswith(("-", "~"))


def _quoted(text: str) -> str:
    return str(QuotedString(literal(text), Quote.double).with_quotes())
