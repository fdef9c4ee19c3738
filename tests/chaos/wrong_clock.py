"""A node whose clock is wrong, seen from inside the process.

Python, the ids (Rust) and libpq all ask libc's `clock_gettime`. Its first instructions are written over, in this
process and those it forks, by some that ask the kernel and add the offset to the wall clock; monotonic clocks stay as
they are. So nothing of the product is patched by name, and whatever asks for the time next year is covered too.
"""

import ctypes
import mmap
import os
import platform
import struct

SKEW = "HUNTAZE_TEST_SKEW_S"  # the variable that tells a process of a test how wrong its clock is
POSSIBLE = platform.system() == "Linux" and platform.machine() == "x86_64"

_WRITABLE = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
_ASK_THE_KERNEL = bytes.fromhex(
    "b8e4000000"  # mov  eax, 228       the system call clock_gettime(edi: which clock, rsi: where to)
    "0f05"  #       syscall
    "85c0"  #       test eax, eax
    "7511"  #       jnz  return
    "85ff"  #       test edi, edi       CLOCK_REALTIME is 0
    "750d"  #       jnz  return
    "48b9"  #       mov  rcx, seconds   which follow here
)
_ADD_AND_RETURN = bytes.fromhex(
    "48010e"  #     add  [rsi], rcx
    "c3"  #         ret
)


def shift(seconds: int) -> None:
    """Makes this process's wall clock wrong by so many seconds. To be called while it has one thread."""
    code = _ASK_THE_KERNEL + struct.pack("<q", seconds) + _ADD_AND_RETURN
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.cast(libc.clock_gettime, ctypes.c_void_p).value
    assert address is not None
    first = address & -mmap.PAGESIZE
    room = ctypes.c_void_p(first), ctypes.c_size_t(address + len(code) - first)
    if libc.mprotect(*room, _WRITABLE):
        raise OSError(ctypes.get_errno(), "the clock cannot be made wrong here")
    ctypes.memmove(address, code, len(code))
    libc.mprotect(*room, mmap.PROT_READ | mmap.PROT_EXEC)


def shift_as_told() -> None:
    """As the environment says; a clock without a word stays right."""
    if seconds := int(os.environ.get(SKEW, "0")):
        shift(seconds)
