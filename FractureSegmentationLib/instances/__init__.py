"""From the probability map of one bone to its fragments: seeds, growth, merging, small pieces."""
