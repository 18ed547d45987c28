"""How well embeddings follow the hierarchies that texts are labeled with."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
