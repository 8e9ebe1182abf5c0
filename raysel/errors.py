"""What goes wrong for a reason that the person at the keyboard can mend."""


class RayselError(Exception):
    """A fault told in one line that says what is wrong and what to do.

    The command line prints the line and exits with status 2; no stack trace unless ``--debug``.
    """


class BadImageError(Exception):
    """One image cannot be used. It goes to quarantine with this reason, and the run goes on."""
