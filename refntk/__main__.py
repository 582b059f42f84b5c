"""`python -m refntk` is `refntk`."""

import sys

from .cli import main

sys.exit(main())
