"""The `ipg-emulator campaign` command: which executor, what is shown meanwhile, and what is left behind."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import msgspec

from ipg_emulator.campaign.batch import Summary, replay, run_batch, shrink_seed, summary_of
from ipg_emulator.campaign.failure import Failure, FailureError, commit, read_failure, told, write_failure
from ipg_emulator.campaign.world import Outcome

FAILURES_SHRUNK = 10
"""Of how many failing seeds, the lowest first, the history is made short and written down."""
CONNECT_SECONDS = 10


class SchedulerError(Exception):
    """The Dask scheduler cannot be reached, or the library for it is not there."""


def run(options: argparse.Namespace) -> int:
    """Run the campaign that the command line asks for; the exit code."""
    try:
        return _replay(options.replay) if options.replay else _campaign(options)
    except (SchedulerError, FailureError) as error:
        print(f"ipg-emulator: {error}", file=sys.stderr)
        return 3 if isinstance(error, SchedulerError) else 2


def _campaign(options: argparse.Namespace) -> int:
    began = time.monotonic()
    outcomes: list[Outcome] = []
    with _executor(options) as executor:
        try:
            with _progress(options) as advance:
                with _interrupts_held():
                    chunks = run_batch(executor, range(options.seed, options.seed + options.seeds), options.hours)
                for chunk in chunks:
                    outcomes += chunk
                    advance(len(chunk))
        finally:
            _report(options, summary_of(outcomes), time.monotonic() - began)
        return _tell_failures(options, executor, outcomes)


def _replay(path: str) -> int:
    failure = read_failure(path)
    outcome = replay(failure.history)
    if outcome.violation is None:
        print(f"{path}: no violation; it was found by {failure.commit}, this is {commit()}")
        return 0
    print(told(msgspec.structs.replace(failure, violation=outcome.violation, commit=commit())))
    return 1


def _tell_failures(options: argparse.Namespace, executor: Executor, outcomes: list[Outcome]) -> int:
    """Make the histories of the first failing seeds short, write them down, and tell of them; the exit code."""
    failed = sorted((outcome for outcome in outcomes if outcome.violation is not None), key=lambda outcome: outcome.seed)
    tasks = [executor.submit(shrink_seed, each.seed, options.hours, each) for each in failed[:FAILURES_SHRUNK]]
    for task in tasks:
        shrunk = task.result()
        violation, seed = shrunk.outcome.violation, shrunk.history.seed
        assert violation is not None, "what was made short breaks the invariant still"
        hours = "" if options.hours == 1 else f" --hours {options.hours:g}"
        command = f"ipg-emulator campaign --seed {seed} --seeds 1{hours}"
        failure = Failure(seed, commit(), command, violation, shrunk.history)
        path = write_failure(options.failures, failure)
        print(f"{told(failure)}\n  and in short: ipg-emulator campaign --replay {path}", file=sys.stderr)
    return 1 if failed else 0


def _report(options: argparse.Namespace, summary: Summary, seconds: float) -> None:
    if options.json:
        print(msgspec.json.encode(summary).decode(), flush=True)
        return
    rows = {
        "worlds": f"{summary.worlds}, {summary.device_hours} device-hours",
        "commands": f"{summary.commands}, {summary.changes} changes committed",
        "resets": f"{summary.resets}, {summary.power_cuts} of them by a power cut in a flash operation",
        "frames": f"{summary.frames}: {summary.lost} lost, {summary.repeated} repeated, {summary.corrupted} corrupted",
        "violations": summary.violations,
        "wall time": f"{seconds:.1f} s, {summary.device_hours / max(seconds, 0.001):.1f} device-hours a second",
        "digest": summary.digest,
    }
    print("\n".join(f"{name:11} {value}" for name, value in rows.items()), flush=True)


@contextmanager
def _executor(options: argparse.Namespace) -> Generator[Executor]:
    """Processes of this machine, or the workers of a Dask cluster."""
    if options.scheduler is None:
        jobs = options.jobs or os.cpu_count() or 1
        executor: Executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin_worker)
        try:
            yield executor
        except KeyboardInterrupt:
            for worker in multiprocessing.active_children():
                worker.kill()  # or the end would wait for the worlds under way
            raise
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
        return
    with dask_executor(options.scheduler) as executor:
        yield executor


@contextmanager
def dask_executor(address: str) -> Generator[Executor]:
    """The workers of the Dask cluster whose scheduler is at an address.

    Raises:
        SchedulerError: it cannot be reached, or `distributed` is not installed.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise SchedulerError("--scheduler needs the package distributed: pip install 'virtual-ipg[dask]'") from None
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SchedulerError(f"the scheduler {address} cannot be reached: {error}") from None
    with client:
        if not client.scheduler_info()["workers"]:
            print(f"ipg-emulator: the scheduler {address} has no workers yet; waiting for one", file=sys.stderr, flush=True)
        yield client.get_executor(pure=False)


@contextmanager
def _interrupts_held() -> Generator[None]:
    """Let Ctrl-C wait: a process that begins now never gets one, not even before its `_begin_worker`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that hands out the work, and end when that ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is begun by the campaign"
    parent.join()
    os._exit(1)


@contextmanager
def _progress(options: argparse.Namespace) -> Generator[Callable[[int], None]]:
    """What to call with the number of worlds that are done: a bar, if somebody sees it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("worlds", total=options.seeds)
        yield lambda worlds: bar.advance(task, worlds)
