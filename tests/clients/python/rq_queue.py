"""RQ: queues, a worker with its scheduler, registries."""

from datetime import timedelta

import redis
from rq import Queue, Retry, SimpleWorker, Worker as RqWorker
from rq.command import send_stop_job_command
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry

import rq_jobs
from support import PORT, URL, Worker, case, run, same, until

r = redis.Redis(port=PORT)
queue = Queue(connection=r)


def finished(job):
    until(f"the end of {job.id}", lambda: job.get_status(refresh=True).value in ("finished", "failed", "stopped"))
    job.refresh()
    return job.get_status().value


@case
def many_jobs_in_one_process():
    simple = Queue("simple", connection=r)
    jobs = simple.enqueue_many([Queue.prepare_data(rq_jobs.double, args=(n,)) for n in range(100)])
    SimpleWorker([simple], connection=r).work(burst=True, logging_level="WARNING")
    same([one.latest_result().return_value for one in jobs], [n * 2 for n in range(100)])
    same(len(FinishedJobRegistry(queue=simple)), 100)


@case
def a_worker_process_works():
    jobs = [queue.enqueue(rq_jobs.double, n) for n in range(10)]
    for n, job in enumerate(jobs):
        same(finished(job), "finished")
        same(job.return_value(), n * 2)
    same(len(RqWorker.all(connection=r)), 1)


@case
def failures_and_retries():
    failing = queue.enqueue(rq_jobs.fail)
    same(finished(failing), "failed")
    assert "on purpose" in failing.latest_result().exc_string
    assert failing.id in FailedJobRegistry(queue=queue)
    again = queue.enqueue(rq_jobs.at_third_try, retry=Retry(max=3))
    same(finished(again), "finished")
    same(again.return_value(), 3)


@case
def jobs_that_wait_for_others():
    first = queue.enqueue(rq_jobs.double, 1)
    second = queue.enqueue(rq_jobs.double, 2, depends_on=first)
    third = queue.enqueue(rq_jobs.double, 3, depends_on=[first, second])
    same([finished(one) for one in (first, second, third)], ["finished"] * 3)
    assert second.ended_at <= third.started_at


@case
def scheduled_jobs():
    job = queue.enqueue_in(timedelta(seconds=1), rq_jobs.double, 4)
    assert job.id in ScheduledJobRegistry(queue=queue)
    same(finished(job), "finished")
    # RQ keeps the second a job is due at, without its fraction.
    assert int(job.started_at.timestamp()) >= int(job.created_at.timestamp()) + 1


@case
def a_running_job_is_stopped():
    job = queue.enqueue(rq_jobs.sleep_for_long)
    until("it runs", lambda: job.get_status(refresh=True).value == "started")
    send_stop_job_command(r, job.id)
    same(finished(job), "stopped")


@case
def a_queue_is_emptied():
    other = Queue("other", connection=r)
    jobs = [other.enqueue(rq_jobs.double, n) for n in range(20)]
    same(other.count, 20)
    jobs[3].cancel()
    same(other.count, 19)
    same(other.empty(), 19)
    other.delete(delete_jobs=True)
    assert not Job.exists(jobs[5].id, connection=r)


with Worker("-m", "rq.cli", "worker", "--url", URL, "--with-scheduler", "--path", ".", "default"):
    run()
