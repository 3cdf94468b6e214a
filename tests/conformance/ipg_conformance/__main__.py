"""`python -m ipg_conformance` is `ipg-conformance`."""

import sys

from ipg_conformance.cli import main

sys.exit(main())
