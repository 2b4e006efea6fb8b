"""Recovery by a merging model: regions, what is seen between them, and who judges it."""
