"""Floor 4: the application around a language model: many servers, one tool loop. Never a server's insides."""
