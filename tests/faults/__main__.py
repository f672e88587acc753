"""Prints the two tables of README.md: python -m tests.faults."""

import sys

from tests.faults.table import opa_table, upstream_table

sys.stdout.write(f"{upstream_table()}\n\n{opa_table()}\n")
