"""What the workloads of Maelstrom promise where it is no model: echoes, unique ids, convergence, logs with offsets."""
