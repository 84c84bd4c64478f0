"""`python -m dev` is `make run`."""

import os
import signal
import sys
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)


# While the rest is being imported there is nothing to end yet: Ctrl-C just leaves, without a traceback.
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, _leave)

from dev.run import main  # noqa: E402

sys.exit(main())
