"""Cases on disk: their sources, preparation and predicted bone masks."""
