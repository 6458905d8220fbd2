"""The two allocation policies (paper section 3), as labels, routers and allocation name them: defined here, and once."""

from typing import Final, Literal, get_args

Policy = Literal["global", "fragment"]
POLICIES: Final[tuple[Policy, ...]] = get_args(Policy)
"""In the order of the Semantic Router's two classes."""
