"""One test per advisory: named after it, never deleted."""
