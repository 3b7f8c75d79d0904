"""The code labels of plans: what stands for a version of the code, until a binding says which one."""

from __future__ import annotations

from typing import Final

DEFAULT_LABEL: Final = "default"
"""The code under test; in a plan that upgrades nodes, the newer one."""
OLDER_LABEL: Final = "old"
"""The code with which nodes begin in a plan that upgrades them."""
