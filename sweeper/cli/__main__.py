"""`python -m sweeper.cli` runs `sweeper`."""

from sweeper.cli import main

main()
