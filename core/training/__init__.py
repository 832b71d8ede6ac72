"""How a denoiser is made from a folder of sprites."""
