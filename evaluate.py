"""Score responses on a human value: `python evaluate.py --help`."""

from valueflow.apps import evaluate

if __name__ == "__main__":
    evaluate()
