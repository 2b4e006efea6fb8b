"""The fragment segmentation methods: one frozen value per method, one literal tuple of them."""
