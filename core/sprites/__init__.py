"""What happens to pixels, and to pixels only."""
