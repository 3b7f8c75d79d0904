"""A node as an OS process: its identity, its connections, its files. Nothing that a simulation loads imports this."""
