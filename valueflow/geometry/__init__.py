"""Task `geometry` of `extract.py`: how the vectors of values lie to one another, beside their theory."""

from valueflow.geometry.display import show_geometries
from valueflow.geometry.outcome import GEOMETRY_OUTPUTS, Geometry
from valueflow.geometry.pipeline import find_geometry
from valueflow.geometry.settings import GeometrySettings

__all__ = ["GEOMETRY_OUTPUTS", "Geometry", "GeometrySettings", "find_geometry", "show_geometries"]
