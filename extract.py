"""Embed texts, or find the values of groups by their texts and answers: `python extract.py --help`."""

from valueflow.apps import extract

if __name__ == "__main__":
    extract()
