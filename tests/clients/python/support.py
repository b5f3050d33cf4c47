"""What the programs beside this file share: the port they are given, waiting for a condition, worker
processes, and the running of named cases one after the other."""

import os
import subprocess
import sys
import tempfile
import time
import traceback

PORT = int(os.environ.get("CLIENTS_PORT") or sys.argv[1])
# Workers are processes of their own, and are told by their environment.
os.environ["CLIENTS_PORT"] = str(PORT)
URL = f"redis://127.0.0.1:{PORT}/0"

CASES = []


def case(body):
    """Marks a case: its name is its function's, its docstring says more."""
    CASES.append(body)
    return body


def until(what, probe, seconds=30):
    """Waits until `probe` gives something true, and gives it."""
    end = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} seconds in vain: {what}")
        time.sleep(0.01)


def same(got, want):
    assert got == want, f"got {got!r}, and not {want!r}"


def refused(kind, text, body):
    """Expects `body` to fail with an error of a kind, with a text in it."""
    try:
        got = body()
    except kind as error:
        assert text in str(error), f"{text!r} is not in {error!r}"
        return
    raise AssertionError(f"no {kind.__name__} but {got!r}")


class Worker:
    """A worker process that is ended with its block; what it printed is shown when the block fails."""

    def __init__(self, *command):
        self.command = command

    def __enter__(self):
        here = os.path.dirname(os.path.abspath(__file__))
        environment = dict(os.environ, PYTHONPATH=here)
        # A file, not a pipe: nobody reads while the worker works.
        self.printed = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(
            [sys.executable, *self.command], cwd=here, env=environment,
            stdout=self.printed, stderr=subprocess.STDOUT)
        return self.process

    def __exit__(self, _, problem, __):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if getattr(problem, "code", 0) != 0 or not isinstance(problem, SystemExit):
            self.printed.seek(0)
            print(self.printed.read()[-4000:])


def run():
    """Runs all cases, in order, and ends the process: with 1 when one failed."""
    failed = 0
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    for body in CASES:
        name = body.__name__.replace("_", " ")
        if only not in name:
            continue
        start = time.monotonic()
        try:
            body()
            verdict = "ok     "
        except BaseException:
            failed += 1
            verdict = "FAILED "
            traceback.print_exc(file=sys.stdout)
        print(f"{verdict} {name} ({round((time.monotonic() - start) * 1000)} ms)", flush=True)
    sys.exit(1 if failed else 0)
