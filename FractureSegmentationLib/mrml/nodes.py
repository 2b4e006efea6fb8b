"""Names for the foreign objects that travel through this package; Slicer ships no types."""

from __future__ import annotations

from typing import Any, TypeAlias

Scene: TypeAlias = Any
"""vtkMRMLScene."""
TransformableNode: TypeAlias = Any
"""vtkMRMLTransformableNode: whatever can lie under a transform."""
VolumeNode: TypeAlias = Any
"""vtkMRMLScalarVolumeNode, or a label map of the same base."""
SegmentationNode: TypeAlias = Any
"""vtkMRMLSegmentationNode."""
SlicerSegment: TypeAlias = Any
"""vtkSegment; `anatomy.naming.Segment` is what we say of one."""
OrientedImage: TypeAlias = Any
"""vtkOrientedImageData."""
Matrix: TypeAlias = Any
"""vtkMatrix4x4."""
