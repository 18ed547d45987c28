"""Construction: a judge ranks raw texts among each other, and their utilities become a value intensity database."""

from valueflow.construction.app import build_vidb
from valueflow.construction.pipeline import Construction
from valueflow.construction.settings import ConstructionSettings

__all__ = ["Construction", "ConstructionSettings", "build_vidb"]
