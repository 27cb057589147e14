"""Floor 5: the spec's optional extensions. Never anything that an extension of yours could not do: public names only."""
