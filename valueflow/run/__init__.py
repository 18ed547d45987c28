"""What every command shares: the task mechanism, settings, errors, tables in and out, progress, the screen.

Names load their module on first use, so `--help` loads none that it does not need.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
