"""What every network is trained with: loop, losses, sampler, augmentation, export."""
