"""Fragments in the scene of 3D Slicer: the one place of the library that imports slicer."""
