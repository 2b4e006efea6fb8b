"""How fragments are written down for a network to learn, and read back: one file per form."""
