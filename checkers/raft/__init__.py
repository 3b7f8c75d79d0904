"""Raft's own promises, judged from the trace: safety at every event, liveness after the heal."""
