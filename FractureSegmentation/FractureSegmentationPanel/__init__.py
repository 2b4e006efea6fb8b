"""The parts of the FractureSegmentation panel; nothing here computes."""
