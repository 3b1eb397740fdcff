"""The HTTP face: whether the service lives, what it counts, what it knows. Read only."""
