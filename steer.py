"""Steer a model to human values, or to a group's profile: `python steer.py --help`."""

from valueflow.apps import steer

if __name__ == "__main__":
    steer()
