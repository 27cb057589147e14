"""Floor 1: what may be watched, and who watches. Never a decision that changes an answer."""
