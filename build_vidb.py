"""Make calibrated anchors for a value out of raw texts: `python build_vidb.py --help`."""

from valueflow.apps import build_vidb

if __name__ == "__main__":
    build_vidb()
