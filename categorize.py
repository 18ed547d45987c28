"""Place texts in a theory's hierarchy by the votes of a panel of models: `python categorize.py --help`."""

from valueflow.apps import categorize

if __name__ == "__main__":
    categorize()
