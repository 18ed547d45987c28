"""`python -m valueflow.llm.packaged smollm2`: a packaged model's folder, for makefiles and other engines."""

import argparse
import sys

from valueflow.llm.packaged import PACKAGED, model_folder
from valueflow.run.errors import InputError, nearest


def main() -> int:
    """Print the folder of a packaged model, and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m valueflow.llm.packaged", description=main.__doc__)
    parser.add_argument("name", help=f"one of: {', '.join(PACKAGED)}")
    name = parser.parse_args().name
    try:
        folder = model_folder(name)
        if folder is None:
            raise InputError(f"'{name}' is no packaged model; {nearest(name, PACKAGED)}")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
