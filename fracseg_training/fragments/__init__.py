"""What differs for the fragment network: its patches, presets and score."""
