#!/usr/bin/env python3
"""Runs a command under a Docker-style seccomp profile, without a container.

  tuning/with-seccomp.py tuning/seccomp-io_uring.json -- coreshard --port 7000
  tuning/with-seccomp.py --without io_uring tuning/seccomp-io_uring.json -- coreshard --port 7000

`--without PREFIX` drops the calls whose names begin so: the second line is a host that refuses io_uring, as
containers' default profiles do, on which the server must fall back to epoll. Shows what a profile would do to
a server; needs libseccomp.so.2 (systemd brings it) and no privilege.
Rules for other architectures and call names this libseccomp does not know are skipped.
"""

import ctypes
import json
import os
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
COMPARE = {"SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4,
           "SCMP_CMP_GE": 5, "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}
PR_SET_NO_NEW_PRIVS = 38


class Condition(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("datum_a", ctypes.c_uint64), ("datum_b", ctypes.c_uint64)]


def action(name, errno):
    return {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": ERRNO | errno}[name]


def load(profile, without):
    lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Condition)]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    errno = profile.get("defaultErrnoRet", 1)
    context = lib.seccomp_init(action(profile["defaultAction"], errno))
    if not context:
        sys.exit("with-seccomp.py: seccomp_init failed")
    for rule in profile["syscalls"]:
        conditions = [Condition(a["index"], COMPARE[a["op"]], a["value"], a.get("valueTwo", 0))
                      for a in rule.get("args", [])]
        array = (Condition * len(conditions))(*conditions)
        for name in rule["names"]:
            if without and name.startswith(without):
                continue
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number < 0:
                continue
            done = action(rule["action"], rule.get("errnoRet", errno))
            status = lib.seccomp_rule_add_array(context, done, number, len(conditions), array)
            if status != 0:
                sys.exit(f"with-seccomp.py: {name}: {os.strerror(-status)}")
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    status = lib.seccomp_load(context)
    if status != 0:
        sys.exit(f"with-seccomp.py: the filter was refused: {os.strerror(-status)}")


def main():
    words, without = sys.argv[1:], None
    if words[:1] == ["--without"]:
        without, words = words[1] if len(words) > 1 else None, words[2:]
    if len(words) < 3 or words[1] != "--":
        sys.exit(__doc__)
    with open(words[0], encoding="utf-8") as file:
        load(json.load(file), without)
    os.execvp(words[2], words[2:])


if __name__ == "__main__":
    main()
