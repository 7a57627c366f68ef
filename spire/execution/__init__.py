"""The Order Execution Server: checks orders, routes them and tracks execution."""
