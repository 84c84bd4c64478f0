"""Memory that was needed for a moment goes back to the system at once."""

import ctypes

# mallopt(3): blocks from this size on come from the system and go back to it when they are freed, and what is free at
# the end of the heap stays up to twice this size.
LARGE_BLOCK_BYTES = 2**20
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def return_large_blocks() -> None:
    """Has glibc keep no large blocks for later; with another C library nothing happens.

    By default glibc keeps blocks of up to 32 MiB once it has seen one, in a heap a thread: a process that once took
    a few large transcripts would hold hundreds of megabytes for ever.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK_BYTES)
