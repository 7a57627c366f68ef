Charting shows candles to whoever may see the trades that they are made of, live, and takes trades from the relay.
