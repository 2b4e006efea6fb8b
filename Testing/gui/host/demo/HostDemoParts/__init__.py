"""A package beside the module file."""
