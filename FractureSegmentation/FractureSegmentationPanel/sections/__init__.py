"""The sections of the panel: widgets and their signals; they call the logic."""
