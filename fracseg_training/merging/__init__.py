"""Training of the model that judges which regions of a bone are one fragment."""
