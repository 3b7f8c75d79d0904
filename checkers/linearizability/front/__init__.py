"""`check`: it divides a history into objects, chooses an engine for each, and makes the verdict."""
