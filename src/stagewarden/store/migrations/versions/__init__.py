"""One script a schema: what leads to it from the one before. Frozen once a release has it."""
