"""Training of the two bone-extraction networks: the whole CT at 3 mm, then the bones at 1.5 mm."""
