"""One run as a page: a file that needs no network, no server and no other file."""
