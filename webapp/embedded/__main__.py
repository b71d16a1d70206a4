"""`python -m webapp.embedded`: what `make run` starts."""

import sys

from webapp.embedded.run import main

sys.exit(main(sys.argv[1:]))
