"""Input that cannot be used, as Inspect's own command line shows it: one line, exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from valueflow.run import InputError


class WrongInputError(InputError, click.ClickException):
    """An `InputError` that is also an error of the library behind Inspect's command line."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        InputError.__init__(self, message)
        click.ClickException.__init__(self, self.args[0])


@contextmanager
def shown_in_one_line() -> Iterator[None]:
    """Turn input errors of a block into those that Inspect shows in one line."""
    try:
        yield
    except InputError as fault:
        raise WrongInputError(str(fault)) from None
