"""Labeled texts: where they come from, their labels as arrays, and which are held out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
