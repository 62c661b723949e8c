"""Reading runs back: their files, samples and caches, and their export."""
