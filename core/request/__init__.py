"""What is asked for: the request file, its contexts, and the pure plan of shards and samples."""
