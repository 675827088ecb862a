"""`python -m ops.bench`, the same as `wellkept bench`."""

import sys

from ops.bench.command import main

sys.exit(main())
