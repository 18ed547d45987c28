"""Embed texts by theory into NPZ files: `python extract.py --help`."""

from valueflow.apps import extract

if __name__ == "__main__":
    extract()
