"""`python -m ipg_host` is `ipg-host`."""

import sys

from ipg_host.cli import main

sys.exit(main())
