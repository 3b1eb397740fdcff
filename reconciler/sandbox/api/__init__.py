"""The endpoints under /almaws/v1, one module per kind of thing."""
