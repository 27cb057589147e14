"""Floor 2: what MCP is, as pure functions and values. Never I/O, never an event loop."""
