"""From a CT to what a network sees: crops, working grids, normalised intensities, and back."""
