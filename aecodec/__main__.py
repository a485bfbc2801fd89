"""`python -m aecodec` is `aec`."""

from aecodec.cli import main

main()
