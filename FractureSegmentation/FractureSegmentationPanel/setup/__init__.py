"""What must be there before a run: packages, models, sample data, registration at start."""
