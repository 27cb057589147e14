"""Floor 5: the spec's optional extensions. Never anything that yours could not do: public names only."""
