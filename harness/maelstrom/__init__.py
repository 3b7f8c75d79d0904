"""Programs that speak the Maelstrom protocol on stdin and stdout, run live; `docs/maelstrom.md` is the guide."""
