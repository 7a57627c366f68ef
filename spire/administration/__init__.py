"""The Administration Server: who may do what, with which limits, on which business day."""
