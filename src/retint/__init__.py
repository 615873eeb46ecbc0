"""Turn black-and-white photographs into colour.

Use: photo -> Lab -> L -> generator -> ab -> merge at full resolution -> photo.
Learn: photos -> Lab batches -> generator and discriminator -> run folder -> ONNX.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retint.colorizer import Colorizer, colorize
    from retint.errors import RetintError
    from retint.hints import Hint

# ONNX Runtime would report its use to its makers; it looks here once, when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Colorizer", "Hint", "RetintError", "__version__", "colorize"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import retint` costs nothing."""
    if name in ("Colorizer", "colorize"):
        from retint import colorizer

        return getattr(colorizer, name)
    if name == "RetintError":
        from retint.errors import RetintError

        return RetintError
    if name == "Hint":
        from retint.hints import Hint

        return Hint
    raise AttributeError(f"module 'retint' has no attribute '{name}'")
