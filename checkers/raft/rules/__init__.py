"""The rules of Raft, each judged at the row of the trace where its violation becomes certain."""
