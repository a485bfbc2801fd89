"""Measuring codecs: metrics, rate-distortion curves, BD-rate."""
