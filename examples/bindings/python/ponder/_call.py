"""Calls into the library: errors become exceptions, functions of the host may raise, Ctrl-C cancels what is computing."""

from __future__ import annotations

import os
import queue
import signal
import threading
from ctypes import byref, c_int32, c_size_t, c_void_p, string_at
from typing import Any, Callable

from . import _native as c
from ._errors import error_of


class Host:
    """The host's functions during one call, and the exception that one of them raised."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.job: _Job | None = None

    def run(self, function: Callable[[], Any]) -> Any:
        """On the thread that made the call, wherever the library computes. An exception is kept; it returns False."""
        try:
            return self.job.on_caller(function) if self.job else function()
        except BaseException as error:  # raised again when the call has returned
            self.error = self.error or error
            return False


class _Request:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.reply: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answered = False


class _Job:
    def __init__(self, function: Callable[[], int]) -> None:
        self.function = function
        self.wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.request: _Request | None = None
        self.posted = False
        self.started = False
        self.cancelled = False
        self.done = False
        self.status = 0
        self.failure: BaseException | None = None

    def on_caller(self, function: Callable[[], Any]) -> Any:
        request = self.request = _Request(function)
        self.wake.put(None)
        value, error = request.reply.get()
        if error is not None:
            raise error
        return value


class _Worker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="ponder", daemon=True)
        self.jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            job = self.jobs.get()
            if job.started:  # put twice, see run_interruptible
                continue
            job.started = True
            try:
                job.status = job.function()
            except BaseException as error:
                job.failure = error
            job.done = True
            job.wake.put(None)
            del job


_worker: _Worker | None = None  # of the main thread; a child of fork() starts its own


def _get_worker() -> _Worker:
    global _worker
    if _worker is None or not _worker.is_alive():
        _worker = _Worker()
        _worker.start()
    return _worker


def _may_be_interrupted() -> bool:
    return threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT))


def run_interruptible(
    host: Host, function: Callable[[], int], cancel: Callable[[], None]
) -> tuple[int, BaseException | None]:
    """
    The status of function(), a call that computes for long. Python handles signals on the main thread and only between
    bytecodes, so there the call is made by a thread of ours while this one waits: Ctrl-C cancels it within one layer's
    time. The second value is the exception of the signal handler, to be raised when all is in order again.
    """
    global _active
    if _active or not _may_be_interrupted():  # active: a host's function called from down there calls in turn
        return function(), None
    job = _Job(function)
    interrupt: BaseException | None = None
    try:
        host.job = job
        _active = True
        while not job.done:
            try:
                _attend(job, cancel, interrupt)
            except BaseException as error:
                interrupt = error
    finally:  # the exception of a handler may come between any two lines above, too
        while job.posted and not job.done:
            try:
                _attend(job, cancel, interrupt or KeyboardInterrupt())
            except BaseException:
                pass
        _active = False
        host.job = None
    if job.failure is not None:
        raise job.failure
    return job.status, interrupt


def _attend(job: _Job, cancel: Callable[[], None], interrupt: BaseException | None) -> None:
    """
    Until the job is done: runs what it asks for; after an interrupt cancels it. An exception may come between any two
    lines and this is then called again, so each step may be done twice and what there is to do is looked at before each
    wait.
    """
    while not job.done:
        if not job.posted:
            _get_worker().jobs.put(job)
            job.posted = True
        if interrupt is not None and not job.cancelled:
            cancel()
            job.cancelled = True
        request = job.request
        if request is not None and not request.answered:
            answer: tuple[Any, BaseException | None] = (False, None)
            if interrupt is None:
                try:
                    answer = (request.function(), None)
                except BaseException as error:
                    answer = (None, error)
            request.reply.put(answer)
            request.answered = True
        else:
            try:
                # With a time limit: a signal may come just before the wait, and Windows does not interrupt it at all.
                job.wake.get(timeout=0.05)
            except queue.Empty:
                pass


_active = False


def check(status: int, err: c.ponder_error) -> int:
    """The status, if it is none of an error."""
    if status < 0:
        raise error_of(status, err.message)
    return status


def call(function: Any, *args: Any, host: Host | None = None) -> int:
    """function(*args, &err), checked; an exception of the host's functions comes first."""
    err = c.ponder_error()
    status: int = function(*args, byref(err))
    if host is not None and host.error is not None:
        raise host.error
    return check(status, err)


def handle_of(function: Any, *args: Any, host: Host | None = None) -> int:
    """The handle that function(*args, &out, &err) makes."""
    out = c_void_p()
    call(function, *args, byref(out), host=host)
    assert out.value is not None
    return out.value


def bytes_of(function: Any, *args: Any, host: Host | None = None) -> bytes:
    """The content of the buffer that function(*args, &out, &err) makes."""
    buffer = handle_of(function, *args, host=host)
    try:
        return string_at(c.lib.ponder_buffer_data(buffer), c.lib.ponder_buffer_size(buffer))
    finally:
        c.lib.ponder_buffer_free(buffer)


def ids_of(function: Any, *args: Any) -> list[int]:
    """The list that function(*args, ids, capacity, &count, &err) fills."""
    capacity = 0
    while True:  # the list of a session may have grown between two calls, that of anything else has not
        ids = (c_int32 * capacity)() if capacity else None
        count = c_size_t()
        err = c.ponder_error()
        status = function(*args, ids, capacity, byref(count), byref(err))
        if status != c.PONDER_E_BUFFER_TOO_SMALL:
            check(status, err)
            if count.value <= capacity:
                return list(ids) [: count.value] if ids else []
        capacity = count.value


def id_array(ids: Any) -> Any:
    """(int32 *, length) of a sequence of token ids."""
    values = [int(i) for i in ids]
    for value in values:
        if not -(2**31) <= value < 2**31:  # ctypes would cut it
            raise error_of(c.PONDER_E_INVALID_ARGUMENT, f"{value} is no token id".encode())
    return (c_int32 * len(values))(*values), len(values)


def path_bytes(path: Any) -> bytes:
    """A path or name as NUL-terminated UTF-8."""
    data: bytes = os.fsencode(path) if os.name != "nt" else os.fspath(path).encode()
    if b"\0" in data:
        raise error_of(c.PONDER_E_INVALID_ARGUMENT, b"a path or name holds a NUL")
    return data


def text_bytes(text: str) -> bytes:
    """UTF-8; lone surrogates go to the library as they are, which refuses them."""
    return text.encode("utf-8", "surrogatepass")
