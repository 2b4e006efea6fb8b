"""From a network and an array to probabilities: where to look, on which device, how to blend."""
