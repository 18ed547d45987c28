"""`python -m valueflow`: the list of commands; `python -m valueflow COMMAND ...` runs one."""

import sys

from valueflow.apps import COMMANDS
from valueflow.run import InputError, nearest, patient_output, reference_page
from valueflow.version import __version__


def main() -> None:
    """List the commands, or run the one that is named."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        sys.argv[:2] = [name]
        COMMANDS[name][1]()
    elif name == "--version":
        print(f"valueflow {__version__}")
    elif name == "--reference":
        print(reference_page(list(COMMANDS)), end="")
    elif name in ("--help", "-h"):
        print("Measure and steer the human values that a language model expresses.\n")
        print("usage: python -m valueflow COMMAND [KEY=VALUE ...]; COMMAND --help explains its keys\n")
        for command, (purpose, _) in COMMANDS.items():
            print(f"  {command:<12}{purpose}")
    else:
        fault = InputError(f"unknown command '{name}'; {nearest(name, COMMANDS)}")
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    with patient_output():
        main()
