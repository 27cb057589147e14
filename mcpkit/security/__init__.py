"""Floor 1: who may enter. Never an answer's wording on the wire: the gate (transports) refuses."""
