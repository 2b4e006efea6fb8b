"""What the project measures, each figure by one command; see `fracseg benchmark`."""
