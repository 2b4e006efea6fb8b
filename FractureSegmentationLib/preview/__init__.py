"""One picture of a result: the fragments in 3D, and three slices through the fracture.

`picture.write_preview` draws it, on a machine without display and without OpenGL too.
"""
