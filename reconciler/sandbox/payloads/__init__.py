"""Alma's documents, field by field as recorded: one module per kind of thing."""
