"""What differs for the bone networks: their pool, patches, presets and score."""
