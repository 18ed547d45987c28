"""Construction: databases of anchors out of raw texts."""

from valueflow.construction.outcome import Construction
from valueflow.construction.pipeline import TASK, build_vidb
from valueflow.construction.settings import ConstructionSettings

__all__ = ["TASK", "Construction", "ConstructionSettings", "build_vidb"]
