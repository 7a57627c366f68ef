"""Average cost, positions, profit and buying power: pure calculation."""
