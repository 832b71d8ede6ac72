"""How good sprites are: beside real ones, in the features of a small encoder, and as copies."""
