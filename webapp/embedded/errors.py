"""Why the embedded servers cannot run, in words for the person who typed the command."""


class CannotStart(Exception):
    """Nothing was left running. The message says what is wrong and what to do about it."""
