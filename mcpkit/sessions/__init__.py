"""Floor 3: what is remembered between requests, and where. Never a transport, never a feature."""
