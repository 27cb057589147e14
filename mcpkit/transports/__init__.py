"""Floor 4: one file for each door. Never a feature, never FastAPI: a transport needs a kernel and nothing more."""
