"""Metrics, protocols, folders of cases, tables: a segmentation held against the truth."""
