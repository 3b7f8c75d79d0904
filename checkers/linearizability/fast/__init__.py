"""Exact checks of one kind of object each, near linear in its operations."""
