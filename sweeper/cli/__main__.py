"""`python -m sweeper.cli` is `sweeper`."""

from sweeper.cli import main

main()
