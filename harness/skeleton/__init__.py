"""The files that `foreshock new-system` writes: a system that works, to be changed into one's own."""
