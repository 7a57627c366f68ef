"""The Market Data Relay: market data for end users, each as far as he is entitled, from one upstream subscription."""
