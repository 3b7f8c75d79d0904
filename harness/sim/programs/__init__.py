"""Trio programs in the simulated world: their tasks, and TCP over its links."""
