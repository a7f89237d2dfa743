"""The first instructions of a child: tie its life to its parent, change user if asked, become the program.

Run as a script (`python -I -S launch.py SIGNAL PARENT USER PROGRAM ARGUMENT...`) and not as a
`preexec_fn`: that would run Python between fork and exec of a process full of gRPC threads, which
Python 3.12 warns about and which can deadlock.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Never return: become the program, or end with the reason on standard error."""
    signal_number, parent, user, *command = arguments
    if user:
        become(user)
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        check(libc().prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0))
        if os.getppid() != int(parent):
            sys.exit("the parent ended before its child began")
    os.execv(command[0], command)  # noqa: S606 - becoming the program is the purpose


def become(user: str) -> None:
    """Give up root but keep the right to enter any folder.

    PostgreSQL refuses to run as root, and its files and data lie in folders that only root may
    enter (a virtual environment under /root, a test's folder with mode 0700). The one kept
    capability spares opening those folders to everybody.
    """
    entry = pwd.getpwnam(user)
    c = libc()
    # Without it access(2), by which PostgreSQL looks at its own files, ignores the capability.
    check(c.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    kept = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable; then the same for the capabilities from 32 on
    data = (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)
    check(c.capset(header, data))
    check(c.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))


def libc() -> ctypes.CDLL:
    c = ctypes.CDLL(None, use_errno=True)
    # prctl is variadic in C and reads whole registers: an int would leave their upper half open.
    c.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    return c


def check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
