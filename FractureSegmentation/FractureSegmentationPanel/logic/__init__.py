"""What the buttons do, for scripts and other modules too; needs no window."""
