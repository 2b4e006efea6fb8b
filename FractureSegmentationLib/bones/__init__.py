"""Ways to find the bones of a CT; each returns one label volume on the CT's grid."""
