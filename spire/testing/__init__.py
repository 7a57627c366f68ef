"""Fixtures that ship: the platform in one process, the fault kit, a private database."""
