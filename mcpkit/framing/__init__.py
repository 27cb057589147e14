"""Floor 1: event streams and lines, in both directions, incremental. Never I/O, never a word about JSON-RPC."""
