"""Training: an encoder, the losses of a stage and Lightning's trainer put together."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
