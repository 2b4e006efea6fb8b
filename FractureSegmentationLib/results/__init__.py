"""A result folder, read and written: labels, layers, `.seg.nrrd`, report, names."""
