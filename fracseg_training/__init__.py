"""What makes and trains networks: simulated fractures, phantoms, training, benchmarks."""
