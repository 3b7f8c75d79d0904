"""The systems of the live world, one file each: how a node is started, asked and watched."""
