"""Scenarios as pages that move: the film of a scenario, in a file that needs no network."""
