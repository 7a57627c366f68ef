Order Execution shows the market data that its decisions saw only to whoever is entitled to it, and refuses to open risk on trading accounts that the Risk Server does not know yet.
