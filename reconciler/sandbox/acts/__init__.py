"""What people do: staff at a desk, cataloguers, user administration, patrons."""
