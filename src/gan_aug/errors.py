"""The one exception whose message is meant for the person at the keyboard."""


class GanAugError(Exception):
    """Bad input or a run that cannot go on.

    The message is one line: which file or key, what is wrong, what to do. The command line prints
    it without a traceback and exits with a code that is not 0.
    """
