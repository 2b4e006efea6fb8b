"""Files and folders at the edge: what is read becomes a Volume, what is written is whole."""
