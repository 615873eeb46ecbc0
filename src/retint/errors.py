"""The one kind of error that retint raises for what its user can mend."""


class RetintError(Exception):
    """Bad input, a missing file, an impossible request.

    The message is one line that says what is wrong, where, and how to mend it. The command line
    prints it and exits with 1; Python callers catch it. Anything else that escapes is a bug.
    """
