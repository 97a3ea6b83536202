"""What the tests need of the process they run in."""

import signal

# A shell that starts something in the background lets it ignore Ctrl-C, and what that starts ignores it too: the
# programs whose interruption is tested must not inherit this.
signal.signal(signal.SIGINT, signal.default_int_handler)
