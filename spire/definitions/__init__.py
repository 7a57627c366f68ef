"""The Definitions Server: reference data and the instrument master."""
