"""`python -m ipg_emulator` is `ipg-emulator`."""

import sys

from ipg_emulator.cli import main

sys.exit(main())
