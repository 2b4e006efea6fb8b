"""Bones as data: which there are, how they are named, coded, coloured and numbered."""
