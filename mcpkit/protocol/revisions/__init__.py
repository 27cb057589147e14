"""Floor 2: one file for each revision of the protocol. The only place where a revision's date may stand."""
