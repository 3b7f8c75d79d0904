"""Engines that decide every model: a search for an order of the operations."""
