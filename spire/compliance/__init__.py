"""The Compliance Server: rules on directory entries, and the violations of them."""
