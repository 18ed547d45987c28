"""Train the hierarchical value embedding, or measure one: `python train.py --help`."""

from valueflow.apps import train

if __name__ == "__main__":
    train()
