"""The Charting Server: candlesticks over market data."""
