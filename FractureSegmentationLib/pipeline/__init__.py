"""The product: from a CT to one label per bone fragment, and to a result folder."""

from FractureSegmentationLib.pipeline.segment import CaseRequest, segment_case, segment_ct

__all__ = ["CaseRequest", "segment_case", "segment_ct"]
