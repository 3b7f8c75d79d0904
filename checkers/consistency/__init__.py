"""Checks other than linearizability: sequential consistency, stale reads, lost elements, counters out of bounds."""
