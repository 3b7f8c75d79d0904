"""Histories in, verdicts out: pure, and a library on its own."""
