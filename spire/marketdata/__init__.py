"""The Market Data Server: receives, sequences, journals and serves market data."""
