"""Kernels of our own, beside those that come with torch."""
