"""Dramatiq and Huey: workers in threads of this process."""

import time

import dramatiq
import huey
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter, RateLimitExceeded, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as LimiterBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from support import PORT, case, refused, run, same, until

broker = RedisBroker(port=PORT)
broker.add_middleware(Results(backend=RedisBackend(port=PORT)))
dramatiq.set_broker(broker)
tries = []


@dramatiq.actor(store_results=True)
def add(a, b):
    return a + b


@dramatiq.actor(max_retries=3, min_backoff=50, max_backoff=100, store_results=True)
def at_third_try():
    tries.append(time.monotonic())
    if len(tries) < 3:
        raise RuntimeError("not yet")
    return len(tries)


worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=50)


@case
def dramatiq_messages_and_results():
    messages = [add.send(n, n) for n in range(200)]
    same([one.get_result(block=True, timeout=20000) for one in messages], [n + n for n in range(200)])
    broker.join(add.queue_name, timeout=20000)


@case
def dramatiq_retries_delays_groups():
    same(at_third_try.send().get_result(block=True, timeout=20000), 3)
    started = time.monotonic()
    same(add.send_with_options(args=(1, 2), delay=400).get_result(block=True, timeout=20000), 3)
    assert time.monotonic() - started >= 0.4
    group = dramatiq.group([add.message(n, 1) for n in range(10)]).run()
    same(list(group.get_results(block=True, timeout=20000)), [n + 1 for n in range(10)])
    pipe = dramatiq.pipeline([add.message(1, 2), add.message(3)]).run()
    same(pipe.get_result(block=True, timeout=20000), 6)


@case
def dramatiq_rate_limits():
    backend = LimiterBackend(client=broker.client)
    mutex = ConcurrentRateLimiter(backend, "mutex", limit=1)

    def inside():
        with mutex.acquire():
            pass

    with mutex.acquire():
        refused(RateLimitExceeded, "", inside)
    inside()
    window = WindowRateLimiter(backend, "window", limit=5, window=60)
    granted = 0
    for _ in range(8):
        with window.acquire(raise_on_failure=False) as acquired:
            granted += bool(acquired)
    same(granted, 5)


for kind in (huey.RedisHuey, huey.PriorityRedisHuey, huey.RedisExpireHuey):
    def huey_tasks(kind=kind):
        h = kind(f"clients {kind.__name__}", port=PORT)
        state = []

        @h.task()
        def double(n):
            return n * 2

        @h.task(retries=2)
        def at_second_try():
            state.append(1)
            if len(state) < 2:
                raise RuntimeError("not yet")
            return "done"

        consumer = h.create_consumer(workers=2, initial_delay=0.01, max_delay=0.05, scheduler_interval=1)
        consumer.start()
        try:
            results = [double(n) for n in range(100)]
            same([one.get(blocking=True, timeout=20) for one in results], [n * 2 for n in range(100)])
            later = double.schedule((21,), delay=1)
            same(later.get(blocking=True, timeout=20), 42)
            at_second_try()
            until("the second try", lambda: len(state) == 2)
            with h.lock_task("a lock"):
                refused(huey.exceptions.TaskLockedException, "", lambda: h.lock_task("a lock").__enter__())
        finally:
            consumer.stop(graceful=True)

    huey_tasks.__name__ = f"huey_tasks_{kind.__name__}"
    case(huey_tasks)

worker.start()
try:
    run()
finally:
    worker.stop()
