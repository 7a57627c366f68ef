"""Where orders are sent: one driver a file (docs/order-execution.md)."""
