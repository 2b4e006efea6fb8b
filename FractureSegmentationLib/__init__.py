"""FractureSegmentation: one label, one segment and one mesh per bone fragment of a fracture CT.

Importing the package loads neither torch, vtk nor slicer; each is loaded by the one module that
needs it, when it is called. `pipeline/segment.py` is the product on one screen.
"""

__version__ = "0.1.0"
