"""Analytic bones and a whole pelvis drawn from smooth implicit shapes: no patient data."""
