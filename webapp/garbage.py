"""How often Python looks for garbage that counting references does not free (docs/decisions/garbage.md)."""

import gc

# Python's own numbers are 700, 10, 10: a look every page or two, and each hundredth walks through all there is.
SELDOM = (5_000, 10, 10)


def collect_seldom() -> None:
    """What exists now is never walked through again, and what comes to be is looked at by the five thousand.

    For a process that serves, once all of it is loaded: a quarter of a million objects stay for good then, and to walk
    through them stops every thread for a sixth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)
