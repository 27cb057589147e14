"""Floor 3: what a server offers: tools, resources, prompts and their kin. Never a transport, never the kernel."""
