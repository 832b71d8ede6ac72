"""Denoisers and what samples from them: torch, no files but the weights."""
