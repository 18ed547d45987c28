"""Make one page about finished runs: `python report.py --help`."""

from valueflow.apps import report

if __name__ == "__main__":
    report()
