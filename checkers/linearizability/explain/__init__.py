"""Why a history has no order: the shortest failing prefix, a minimal sub-history, the states before it."""
