"""Celery: a worker with the server as broker and as store of results."""

import time

import redis
from celery import chain, chord, group

import celery_app
from celery_app import add, app, at_third_try, fail, note, total
from support import PORT, Worker, case, refused, run, same, until

notes = redis.Redis(port=PORT, db=1, decode_responses=True)


@case
def many_tasks():
    results = [add.delay(n, n) for n in range(300)]
    same([one.get(timeout=30) for one in results], [n + n for n in range(300)])


@case
def chains_groups_and_chords():
    same(chain(add.s(1, 2), add.s(3), add.s(4)).apply_async().get(timeout=30), 10)
    same(group(add.s(n, 1) for n in range(20)).apply_async().get(timeout=30), [n + 1 for n in range(20)])
    same(chord((add.s(n, n) for n in range(30)), total.s()).apply_async().get(timeout=30), 870)
    nested = chain(group(add.s(1, 1), add.s(2, 2)), total.s(), add.s(4))
    same(nested.apply_async().get(timeout=30), 10)
    with_failure = chord([add.s(1, 1), fail.s()], total.s()).apply_async()
    refused(Exception, "on purpose", lambda: with_failure.get(timeout=30))


@case
def retries_and_failures():
    same(at_third_try.delay().get(timeout=30), 2)
    result = fail.delay()
    refused(ValueError, "on purpose", lambda: result.get(timeout=30))
    same(result.state, "FAILURE")


@case
def countdown_and_eta():
    started = time.time()
    same(add.apply_async((1, 2), countdown=1).get(timeout=30), 3)
    assert time.time() - started >= 0.9


@case
def results_are_kept_and_forgotten():
    result = add.delay(1, 1)
    same(result.get(timeout=30), 2)
    assert notes.ttl(f"celery-task-meta-{result.id}") > 500
    result.forget()
    same(notes.exists(f"celery-task-meta-{result.id}"), 0)


@case
def the_worker_answers_to_control():
    pongs = until("a pong", lambda: app.control.ping(timeout=2))
    same(list(pongs[0].values()), [{"ok": "pong"}])
    inspect = app.control.inspect(timeout=2)
    registered = until("the tasks", inspect.registered)
    assert "celery_app.add" in next(iter(registered.values()))
    revoked = add.apply_async((1, 1), countdown=2)
    revoked.revoke()
    until("it is revoked", lambda: revoked.state == "REVOKED")


@case
def queues_and_priorities():
    note.apply_async(("noted",), queue="other")
    until("it is noted", lambda: notes.get("noted") == "1")
    for priority in (0, 3, 6, 9):
        note.apply_async(("noted",), priority=priority)
    until("all are noted", lambda: notes.get("noted") == "5")


worker = Worker("-m", "celery", "-A", "celery_app", "worker", "--concurrency", "3", "--loglevel", "INFO",
                "--queues", "celery,other", "--without-mingle")
with worker:
    assert celery_app
    run()
