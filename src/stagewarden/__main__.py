"""`python -m stagewarden` is the console script."""

from stagewarden.cli import main

main()
