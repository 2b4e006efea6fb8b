"""The networks: configurations and model descriptions (without torch), layers, model folders."""
