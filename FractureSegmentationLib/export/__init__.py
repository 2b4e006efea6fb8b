"""Fragments for other programs: surfaces, label images and segmentations, posed by a plan."""
