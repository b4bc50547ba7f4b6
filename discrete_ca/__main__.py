"""``python -m discrete_ca``: the command line."""

import sys

from discrete_ca.cli import main

if __name__ == "__main__":
    sys.exit(main())
