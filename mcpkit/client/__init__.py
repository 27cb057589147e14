"""Floor 3: the client, and its way through the eras. Never an import of what a server offers."""
