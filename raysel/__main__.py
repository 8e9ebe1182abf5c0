"""``python -m raysel``."""

from raysel.cli import main

main()
