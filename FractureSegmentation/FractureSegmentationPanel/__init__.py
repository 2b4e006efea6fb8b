"""The parts of the FractureSegmentation panel: run < setup < logic < sections; none computes."""
