"""RQ's jobs: in a module of their own, which the worker imports."""

import redis

from support import PORT


def double(n):
    return n * 2


def fail():
    raise ValueError("on purpose")


def at_third_try():
    tries = redis.Redis(port=PORT).incr("rq tries")
    if tries < 3:
        raise ValueError(f"try {tries}")
    return tries


def sleep_for_long():
    import time
    time.sleep(60)
