"""Correcting fragments by hand: merge, split, assign, renumber, review, undo."""
