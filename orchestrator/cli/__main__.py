"""`python -m orchestrator.cli` is `spritemill`."""

import sys

from orchestrator.cli import main

sys.exit(main())
