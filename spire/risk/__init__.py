"""The Risk Server: positions and profit, loss limits, and what follows when one is reached."""
