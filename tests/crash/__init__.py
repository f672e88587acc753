"""The crash matrix of lifecycles.md: `kill -9` before and after each durable step of each act. `python -m tests.crash` runs all of it."""
