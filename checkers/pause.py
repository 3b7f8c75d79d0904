"""Reading a long file, or a graph of its transactions, makes millions of objects and no cycles.

The collector of cycles would look at them again and again and find nothing: a third of the time of long histories.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Look for no cycles inside; what the collector did before is what it does afterwards."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
