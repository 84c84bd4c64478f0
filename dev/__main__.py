"""`python -m dev` is `make run`, and `python -m dev demo` is `make demo`."""

import os
import signal
import sys
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)


# While the rest is being imported there is nothing to end yet: Ctrl-C just leaves, without a traceback.
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, _leave)

if sys.argv[1:2] == ["demo"]:
    from dev import demo

    sys.exit(demo.main(sys.argv[2:]))

from dev import run  # noqa: E402

sys.exit(run.main())
