"""`python -m orchestrator.cli` is `spritemill`."""

import sys

from orchestrator.cli import main

if __name__ == "__main__":  # a process that verifies with others imports it again
    sys.exit(main())
