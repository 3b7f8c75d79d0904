"""Linearizability: engines that decide it, the choice among them, and the explanation of a violation."""
