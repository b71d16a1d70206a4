"""`python -m bench.scale [--write]`: long. The same with a million accounts, and ten million entries in one of them.

A million grants expire, and a million entries are proven.
"""

from bench.__main__ import main

if __name__ == "__main__":
    main(title="make bench-scale", accounts=1_000_000, entries=10_000_000, full=True)
