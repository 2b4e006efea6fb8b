"""A DICOM folder, read: which series, which slices, where they lie, what they measure."""
