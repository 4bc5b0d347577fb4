"""Many sessions, computed together."""

from __future__ import annotations

import contextlib
from ctypes import byref, c_size_t, sizeof
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple

from . import _native as c
from ._call import Host, call, check, handle_of, run_interruptible
from ._errors import Error, error_of
from ._params import Event, event_of, set_number
from ._session import PENDING, Pending, Session
from ._text import Handle

if TYPE_CHECKING:
    from ._model import Model


class BatchEvent(NamedTuple):
    session: Session
    event: Event | None  # None: the reply is complete, or there is an error
    error: Error | None = None


class Batch(Handle):
    """
    Continuous batching: sessions of one model come and go; each step computes the next token of those that reply and a
    part of the prompts that wait. Make sessions with defer_prefill=True. Iterate over it for the events of all.
    """

    _free = c.lib.ponder_batch_free

    def __init__(self, model: Model, *, token_budget: int = 0, threads: int = 0) -> None:
        raw = c.ponder_batch_params()
        set_number(raw, "token_budget", token_budget)
        set_number(raw, "n_threads", threads)
        self._model = model
        self._sessions: dict[int, Session] = {}
        self._handle = handle_of(c.lib.ponder_batch_create, model.runtime.handle, model.handle, byref(raw))

    def add(self, session: Session, priority: int = 0) -> None:
        """Greater priorities are served first, when the budget is not enough for all."""
        call(c.lib.ponder_batch_add, self.handle, session.handle, priority)
        assert session.handle is not None
        self._sessions[session.handle] = session

    def remove(self, session: Session) -> None:
        """The session can go on alone, as it is. This and the following: NotFoundError, it is not in the batch."""
        call(c.lib.ponder_batch_remove, self.handle, session.handle)
        self._sessions.pop(session.handle or 0, None)

    def set_priority(self, session: Session, priority: int) -> None:
        call(c.lib.ponder_batch_set_priority, self.handle, session.handle, priority)

    def set_paused(self, session: Session, paused: bool) -> None:
        """A paused session gets nothing, not even events."""
        call(c.lib.ponder_batch_set_paused, self.handle, session.handle, int(paused))

    def next(self) -> list[BatchEvent] | None:
        """One step: at most one event per session. None: no session has anything to do."""
        events = self._step(c.lib.ponder_batch_next)
        assert not isinstance(events, Pending)
        return events

    def step(self, budget_us: int) -> list[BatchEvent] | Pending | None:
        """As next(), but PENDING after about budget_us microseconds; call again to go on."""
        return self._step(c.lib.ponder_batch_step, budget_us)

    def _step(self, function: Callable[..., int], *args: Any) -> list[BatchEvent] | Pending | None:
        # A closed session has left by itself.
        self._sessions = {handle: s for handle, s in self._sessions.items() if s.handle == handle}
        events = (c.ponder_batch_event * len(self._sessions))()
        for raw in events:
            raw.struct_size = sizeof(raw)
        count = c_size_t()
        err = c.ponder_error()
        host = Host()
        with contextlib.ExitStack() as stack:
            held = []
            for session in self._sessions.values():
                with contextlib.suppress(Error):  # in use elsewhere: the library leaves it out, too
                    stack.enter_context(session._in_use())
                    session._host = host
                    held.append(session)

            def cancel() -> None:
                for session in held:
                    session.cancel()

            status, interrupt = run_interruptible(
                host, lambda: int(function(self.handle, *args, events, len(events), byref(count), byref(err))), cancel
            )
            if interrupt is None and host.error is None:
                check(status, err)
                if status == c.PONDER_PENDING:
                    return PENDING
                return [self._event(events[i]) for i in range(count.value)] if status == c.PONDER_OK else None
            for i in range(count.value if status == c.PONDER_OK else 0):
                if events[i].status == c.PONDER_OK:  # told by the session's own next()
                    self._sessions[events[i].session]._waiting = event_of(events[i].token.contents)
            for session in held:
                session._clear_cancel()
            raise interrupt or host.error or AssertionError
        raise AssertionError("not reached")

    def _event(self, raw: c.ponder_batch_event) -> BatchEvent:
        session = self._sessions[raw.session]
        if raw.status == c.PONDER_OK:
            return BatchEvent(session, event_of(raw.token.contents))
        return BatchEvent(session, None, error_of(raw.status, raw.message or b"") if raw.status < 0 else None)

    def __iter__(self) -> Iterator[BatchEvent]:
        while True:
            waiting = [s for s in self._sessions.values() if s._waiting is not None]
            for session in waiting:
                event, session._waiting = session._waiting, None
                yield BatchEvent(session, event)
            events = self.next()
            if events is None:
                return
            yield from events

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
