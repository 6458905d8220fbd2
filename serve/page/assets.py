"""The files that the page is made of."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
KINDS: Final = {".css": "text/css", ".js": "text/javascript"}
ASSETS: Final = {path.name: KINDS[path.suffix] for path in sorted(FOLDER.iterdir()) if path.suffix in KINDS}
"""What `page.html` is made of beside itself: media types by name."""
