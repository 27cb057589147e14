"""The application's routers: where your methods, tools, prompts and resources go. Never anything the library needs."""
