"""Floor 1: JSON-RPC 2.0. Never a word about MCP, never I/O."""
