"""A simulated user corrects simulated errors with merge and split clicks."""
