"""`valueflow-cache`: look at the cached completions, and remove them."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from valueflow.llm.cache.place import open_cache
from valueflow.run import InputError, nearest

# As for all tables: what is piped gets room for all columns.
_WIDTH_WITHOUT_TERMINAL = 120

_EXIT_INPUT = 2


def cache_command(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 where the arguments or the cache cannot be used."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "clear":
            _clear(arguments.model)
        else:
            _show()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return _EXIT_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="valueflow-cache",
        description="Completions of chat models are cached, so that no request is paid for twice. "
        "This command shows what is cached, and removes it.",
        epilog="They are in the folder that the environment variable VALUEFLOW_CACHE names, or else in the "
        "system's folder for caches; or on a PostgreSQL server, which all machines of a cluster share, where "
        "VALUEFLOW_CACHE_URL=postgresql://USER@HOST/DATABASE names one. cache=off runs without them, cache=read adds "
        "none.",
    )
    commands = parser.add_subparsers(dest="command", metavar="show | clear")
    commands.add_parser("show", help="the file or server, its size, and what is cached of each model (the default)")
    clear = commands.add_parser("clear", help="remove completions; their space goes back to the disk, or is used again")
    clear.add_argument("--model", metavar="NAME", help="only those of this model, as 'show' names it")
    return parser


def _show() -> None:
    with open_cache(read_only=True) as cache:
        models = cache.statistics()
        size = cache.size()
    # Names come from configurations: none of their brackets is markup.
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    console.print(f"{_printable(cache.place)} ({decimal(size)})", soft_wrap=True)
    if not models:
        console.print("no completions are cached")
        return
    table = Table()
    table.add_column("model", overflow="fold")
    for heading in ("completions", "size", "first", "last"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cached in models:
        table.add_row(
            _printable(cached.model),
            f"{cached.entries:,}",
            decimal(cached.size),
            f"{cached.first:%Y-%m-%d %H:%M}",
            f"{cached.last:%Y-%m-%d %H:%M}",
        )
    console.print(table)


def _clear(model: str | None) -> None:
    if model is not None:
        with open_cache(read_only=True) as cache:
            if not cache.has_any_of(model):
                known = [cached.model for cached in cache.statistics()]
                raise InputError(f"no completions of model '{model}' are cached; {nearest(model, known)}")
    with open_cache() as cache:
        removed = cache.clear(model)
    of_model = "" if model is None else f" of {_printable(model)}"
    print(f"removed {removed:,} completion{'' if removed == 1 else 's'}{of_model} from {_printable(cache.place)}")


def _printable(text: str) -> str:
    """Escape what would move the cursor or cannot be encoded."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
