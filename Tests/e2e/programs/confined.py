"""confined.py UNIT PROGRAM ARGUMENTS...: runs a program under the filter of system calls that a systemd unit gives
it. A call that is not on the list kills it with SIGSYS, as it would under systemd."""

import ctypes
import os
import pathlib
import sys

KILL_PROCESS, ALLOW, NO_NEW_PRIVILEGES = 0x80000000, 0x7FFF0000, 38


def allowed(unit):
    """The names of `SystemCallFilter=`: this machine's and those of others."""
    text = pathlib.Path(unit).read_text().replace("\\\n", " ")
    found = [line.partition("=")[2].split() for line in text.splitlines() if line.startswith("SystemCallFilter=")]
    assert len(found) == 1 and found[0] and not any(name.startswith(("@", "~")) for name in found[0]), found
    return found[0]


def confine(names):
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    filter = library.seccomp_init(KILL_PROCESS)
    assert filter, "no filter could be made"
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        assert number != -1, f"no system call is called {name}"
        # Below zero: of another architecture.
        if number >= 0:
            assert library.seccomp_rule_add_array(filter, ALLOW, number, 0, None) == 0, name
    assert ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    assert library.seccomp_load(filter) == 0, "the kernel refuses the filter"


if __name__ == "__main__":
    names = allowed(sys.argv[1])
    confine(names)
    os.execv(sys.argv[2], sys.argv[2:])
