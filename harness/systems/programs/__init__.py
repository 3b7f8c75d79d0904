"""Trio programs as systems under test: where they are found, and what their code sees of time and chance."""
