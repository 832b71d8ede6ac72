"""Kernels that are compiled here, in the place of those that come with torch."""
