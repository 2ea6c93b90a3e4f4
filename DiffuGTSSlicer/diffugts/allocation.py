"""How this process gets memory from the system, and how it is told that there is none.

On Linux glibc gives every freed block of more than 32 MB back to the kernel and asks for it again at the next layer, and
every fresh page has to be zeroed and mapped. In 3-D networks on the CPU that was half of all processor time
(docs/decisions.md). A process that computes keeps what it freed.
"""

from __future__ import annotations

import ctypes
import platform

from diffugts.errors import MemoryShortageError

ALLOCATION_FAILURES = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "bad_alloc",
)
"""How torch and ITK word it, in lower case, where they raise no MemoryError."""

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of mallopt(3)."""

LARGEST_INT = 2**31 - 1


def keep_freed_memory(padding_mb: int = 64) -> bool:
    """Let the allocator keep freed memory and grow by `padding_mb` at a time; returns whether this took effect.

    Anywhere but on Linux with glibc this does nothing: their allocators behave otherwise.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST_INT), (M_TOP_PAD, padding_mb << 20))
    return all([bool(mallopt(parameter, value)) for parameter, value in settings])


def give_back_freed_memory() -> bool:
    """Give what was freed so far back to the system, as between jobs; returns whether there was any."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))


def is_memory_shortage(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, the GPU's or the machine's."""
    if isinstance(error, (MemoryError, MemoryShortageError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in ALLOCATION_FAILURES)
