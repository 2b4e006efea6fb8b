"""CT volumes made from label maps: exact truth without a patient's image."""
