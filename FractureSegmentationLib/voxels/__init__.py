"""Array tools that know no bone: boxes, components, distances, growth, windows, resampling."""
