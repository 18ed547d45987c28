"""`python -m valueflow`: the list of commands; `python -m valueflow COMMAND ...` runs one."""

import sys

from valueflow import __version__, apps
from valueflow.run import InputError, nearest, reference_page


def main() -> None:
    """List the commands, or run the one that is named."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in apps.COMMANDS:
        sys.argv[:2] = [name]
        getattr(apps, name)()
    elif name == "--version":
        print(f"valueflow {__version__}")
    elif name == "--reference":
        print(reference_page(list(apps.COMMANDS)), end="")
    elif name in ("--help", "-h"):
        print("Measure and steer the human values that a language model expresses.\n")
        print("usage: python -m valueflow COMMAND [KEY=VALUE ...]; COMMAND --help explains its keys\n")
        for command, purpose in apps.COMMANDS.items():
            print(f"  {command:<12}{purpose}")
    else:
        fault = InputError(f"unknown command '{name}'; {nearest(name, apps.COMMANDS)}")
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
