"""The WSGI entry: `granian --interface wsgi webapp.wsgi:app`."""

import sys

from webapp import create_app
from webapp.config import UnsafeSettings
from webapp.garbage import collect_seldom
from webapp.open_files import allow_many

try:
    app = create_app()
except UnsafeSettings as refusal:  # says what to mend; a traceback would bury it
    sys.exit(str(refusal))
collect_seldom()
allow_many()
