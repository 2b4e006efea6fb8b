"""What `fracseg evaluate` does: pairs of label files, their scores, tables and pictures."""
