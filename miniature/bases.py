"""Where the shipped bases and the routers trained on them lie: ordinary transformers folders and ordinary exports."""

from pathlib import Path
from typing import Final

SHIPPED: Final = Path(__file__).parent / "shipped"
DENSE: Final = SHIPPED / "dense"
ROBUST: Final = SHIPPED / "robust"
DENSE_ROUTER: Final = SHIPPED / "dense-router"
ROBUST_ROUTER: Final = SHIPPED / "robust-router"
