"""Floor 3: how a client reaches a server; one file for each transport. Never a word about eras or features."""
