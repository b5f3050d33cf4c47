"""The Celery application that `celery_tasks.py` and its worker share."""

from celery import Celery

from support import URL

app = Celery("clients", broker=URL, backend=URL.replace("/0", "/1"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    result_expires=600,
    task_track_started=True,
    worker_prefetch_multiplier=2,
    # A task that nobody finished is given out again after this many seconds.
    broker_transport_options={"visibility_timeout": 2, "unacked_restore_limit": 100},
)


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3, default_retry_delay=0.1)
def at_third_try(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task
def fail():
    raise ValueError("on purpose")


@app.task(ignore_result=True)
def note(key):
    app.backend.client.incr(key)
