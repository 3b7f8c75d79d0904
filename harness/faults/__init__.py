"""Faults: what can be broken, one record a kind, one file a family. See `fault` for what a record says."""
