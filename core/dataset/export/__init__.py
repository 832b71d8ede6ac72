"""A finished dataset in the formats of other tools: one module for each, over one reader."""
