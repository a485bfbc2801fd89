"""Metrics, BD-rates, and how both are drawn: what benchmarks and training share."""
