"""How well a segmentation agrees with the truth: matching, overlap, surfaces, counts, scores."""
