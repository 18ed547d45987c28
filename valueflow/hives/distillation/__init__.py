"""Distillation: an encoder with a small head learns what a judge would say of texts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
