"""Runs an unmodified 3D Slicer module on PySide6 and slicer-core, in place of the application."""
