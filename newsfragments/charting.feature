Charting makes candlesticks by any interval from trades, for the past and live, late prints included.
