"""Many cases: a list in, one result folder each, one table; in this process or on a cluster."""
