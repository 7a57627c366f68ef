"""Values of the trade: frozen, without I/O or clock."""
