"""Compare finished evaluations: `python compare.py --help`."""

from valueflow.apps import compare

if __name__ == "__main__":
    compare()
