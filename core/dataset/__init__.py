"""The finished dataset: its files, how they are made, and how anyone proves them right."""
