"""A results folder in a browser: campaigns, runs, failures, walk-throughs. It reads, and writes nothing."""
