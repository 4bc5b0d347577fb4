"""A conversation: prompts, the stream of tokens, state."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
import threading
from ctypes import byref, c_int32, c_size_t, c_void_p, cast, sizeof, string_at
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

from . import _native as c
from ._arrays import Array, as_array, copied, new
from ._call import Host, bytes_of, call, check, handle_of, id_array, ids_of, path_bytes, run_interruptible, text_bytes
from ._errors import CancelledError, Error, StateError, error_of
from ._params import (
    Channel,
    Event,
    Finish,
    GenerateParams,
    Logprob,
    Reply,
    SessionParams,
    SessionStats,
    choice,
    event_of,
    info_of,
    native_params,
    params_of,
)
from ._text import Handle, Messages, Path, kwargs_json, messages_json

if TYPE_CHECKING:
    from ._adapter import Adapter
    from ._model import Model

PrefillProgress = Callable[[int, int], Any]


class Pending(enum.Enum):
    """What step() returns when its time is used up."""

    PENDING = "pending"


PENDING = Pending.PENDING
_no_progress: Any = cast(c_void_p(), c.ponder_prefill_fn)
_reasoning_choices: dict[str, dict[str, int]] = {
    "effort": {
        "none": c.PONDER_EFFORT_NONE,
        "low": c.PONDER_EFFORT_LOW,
        "medium": c.PONDER_EFFORT_MEDIUM,
        "high": c.PONDER_EFFORT_HIGH,
    },
    "early_exit": {
        "off": c.PONDER_EARLY_EXIT_OFF,
        "probe": c.PONDER_EARLY_EXIT_PROBE,
        "confidence": c.PONDER_EARLY_EXIT_CONFIDENCE,
    },
}
_poolings = {None: 0, "mean": c.PONDER_POOLING_MEAN, "last": c.PONDER_POOLING_LAST}
_dtypes = {c.PONDER_DTYPE_F32: "f", c.PONDER_DTYPE_I32: "i"}


class Session(Handle):
    """
    One conversation with a model. Iterate over it for the events of the reply, also with `async for`.

    Used by one thread at a time, except cancel() and stop_thinking(). Ctrl-C on the main thread cancels what is computing, raises
    KeyboardInterrupt, and the session goes on from where it was: with the next token, or a new prompt.
    """

    _free = c.lib.ponder_session_free

    def __init__(self, model: Model, params: SessionParams | None = None, **fields: Any) -> None:
        raw = (params or SessionParams(**fields)).native()
        self._init(model, handle_of(c.lib.ponder_session_create, model.runtime.handle, model.handle, byref(raw)))

    def _init(self, model: Model, handle: int) -> None:
        self.model = model
        self._handle = handle
        self._lock = threading.Lock()  # held by the call that runs
        self._owner = 0  # its thread
        self._cancel_lock = threading.Lock()  # cancel() beside close()
        self._host = Host()  # of the call that runs
        self._keep: list[Any] = []
        self._sampling: GenerateParams | None = None  # with the sampler, if there is one
        self._adapters: list[Adapter] = []  # that it uses
        self._waiting: Event | None = None  # computed, but its call was interrupted
        self._event = c.ponder_token_event()
        self._vocab_size = model.info.vocab_size

    def close(self) -> None:
        """Cancels what another thread computes with it, and frees it."""
        if self._owner == threading.get_ident():
            raise StateError("the session cannot be closed by a function that it calls")
        self.cancel()
        with self._lock, self._cancel_lock:
            super().close()

    def __del__(self) -> None:
        super().close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[Host]:
        if not self._lock.acquire(blocking=False):
            raise StateError("the session is in use by another call")
        try:
            self._owner = threading.get_ident()
            self._host = Host()
            yield self._host
        finally:
            self._owner = 0
            self._lock.release()

    def _call(self, function: Any, *args: Any) -> int:
        """A call that is over soon."""
        with self._in_use():
            return call(function, self._handle, *args)

    def _compute(self, host: Host, function: Any, *args: Any, go_on: bool = False) -> int:
        """A call that computes. go_on: when it is interrupted the session is to be as if it had not been."""
        err = c.ponder_error()
        status, interrupt = run_interruptible(
            host, lambda: int(function(self._handle, *args, byref(err))), self.cancel
        )
        if interrupt is not None or host.error is not None:
            if go_on:
                if status == c.PONDER_OK and function is c.lib.ponder_session_next:
                    self._waiting = event_of(self._event)
                self._clear_cancel()
            raise interrupt or host.error or AssertionError
        return check(status, err)

    def _clear_cancel(self) -> None:
        n = len(ids_of(c.lib.ponder_session_tokens, self._handle))
        call(c.lib.ponder_session_rewind, self._handle, n)

    # ---- Settings

    def set_params(self, params: GenerateParams | None = None, **fields: Any) -> None:
        """Sampling and limits of what follows: params (by default all zero) with fields changed."""
        wanted = (params or GenerateParams()).replace(**fields)
        raw, keep = native_params(wanted, lambda: self._host)
        self._call(c.lib.ponder_session_set_params, byref(raw))
        self._sampling, self._keep = wanted, keep

    @property
    def params(self) -> GenerateParams:
        """What is set. Fields that were 0 hold the value used."""
        raw = c.ponder_generate_params()
        with self._in_use():
            call(c.lib.ponder_session_get_params, self._handle, byref(raw))
            params = params_of(raw)
        params.sampler = self._sampling.sampler if self._sampling else None
        return params

    def set_reasoning(self, **fields: Any) -> None:
        """
        The controller of thinking and answer for what follows: the fields of ponder_reasoning_params, whose flag is
        loop_detection=False, and texts as str. effort: "none", "low", "medium" or "high"; early_exit: "off", "probe" or
        "confidence".
        """
        raw = c.ponder_reasoning_params(struct_size=sizeof(c.ponder_reasoning_params))
        if not fields.pop("loop_detection", True):
            raw.flags = c.PONDER_REASONING_NO_LOOP_DETECTION
        names = {name for name, *_ in c.ponder_reasoning_params._fields_} - {"struct_size", "flags"}
        for name, value in fields.items():
            if name not in names:
                raise TypeError(f"set_reasoning has no field {name}")
            if name in _reasoning_choices and isinstance(value, str):
                if value not in _reasoning_choices[name]:
                    raise ValueError(f"{name} {value!r}: want one of {', '.join(_reasoning_choices[name])}")
                value = _reasoning_choices[name][value]
            setattr(raw, name, value.encode() if isinstance(value, str) else value)
        self._call(c.lib.ponder_session_set_reasoning, byref(raw))

    def reset_reasoning(self) -> None:
        """The controller is off again: only think_budget counts."""
        self._call(c.lib.ponder_session_set_reasoning, None)

    def stop_thinking(self) -> None:
        """From any thread: the thinking of this reply is closed at the next end of a line, and the answer begins."""
        with self._cancel_lock:
            c.lib.ponder_session_stop_thinking(self._handle)

    def vote(self, n: int = 8, *, n_parallel: int = 0, weighted: bool = False, all: bool = False) -> dict[str, Any]:
        """Several replies to the prompt; the session holds the one whose answer most of them give. See ponder_session_vote."""
        raw = self._samples_params(n, n_parallel, weighted, all, 0.0)
        return self._samples(lambda host, out: self._compute(host, c.lib.ponder_session_vote, byref(raw), out, go_on=True))

    def best_of(
        self, verifier: Callable[[dict[str, Any]], float], n: int = 8, *, n_parallel: int = 0, all: bool = False, threshold: float = 1.0
    ) -> dict[str, Any]:
        """Several replies to the prompt; the session holds the one that verifier gives the greatest score."""
        raw = self._samples_params(n, n_parallel, False, all, threshold)

        def run(host: Host, out: Any) -> None:
            def score(_: int, sample: Any, out_score: Any) -> int:
                one = sample.contents
                seen = {
                    "index": one.index,
                    "thinking": _text(one.thinking),
                    "answer": _text(one.answer),
                    "extracted": _text(one.extracted) if one.extracted.data else None,
                    "mean_logprob": one.mean_logprob,
                }
                return 1 if host.run(lambda: out_score.__setitem__(0, float(verifier(seen)))) is False else 0

            self._compute(host, c.lib.ponder_session_best_of, byref(raw), c.ponder_verifier_fn(score), None, out, go_on=True)

        return self._samples(run)

    @staticmethod
    def _samples_params(n: int, n_parallel: int, weighted: bool, all: bool, threshold: float) -> Any:
        raw = c.ponder_samples_params(struct_size=sizeof(c.ponder_samples_params))
        raw.flags = (c.PONDER_SAMPLES_WEIGHTED if weighted else 0) | (c.PONDER_SAMPLES_ALL if all else 0)
        raw.n, raw.n_parallel, raw.threshold = n, n_parallel, threshold
        return raw

    def _samples(self, run: Callable[[Host, Any], Any]) -> dict[str, Any]:
        out = c_void_p()
        with self._in_use() as host:
            run(host, byref(out))
        try:
            text = string_at(c.lib.ponder_buffer_data(out), c.lib.ponder_buffer_size(out))
        finally:
            c.lib.ponder_buffer_free(out)
        result: dict[str, Any] = json.loads(text)
        return result

    def set_adapters(self, *adapters: Adapter | tuple[Adapter, float]) -> None:
        """
        The LoRA adapters from here on, in place of those before; each may come with a scale. None: the model itself. What
        was computed with others is computed anew when it is needed.
        """
        pairs = [one if isinstance(one, tuple) else (one, 1.0) for one in adapters]
        uses = (c.ponder_adapter_use * len(pairs))(*(c.ponder_adapter_use(one.handle, scale) for one, scale in pairs))
        self._call(c.lib.ponder_session_set_adapters, uses, len(uses))
        self._adapters = [one for one, _ in pairs]

    def set_grammar(self, *, gbnf: str | None = None, regex: str | None = None, json_schema: str | Mapping[str, Any] | bool | None = None) -> None:
        """
        The answers from here on stay within a grammar, a regular expression or a JSON Schema (text, or what json.dumps makes
        text of). None of them: no grammar.
        """
        given = [one for one in (gbnf, regex, json_schema) if one is not None]
        if len(given) > 1:
            raise ValueError("one of gbnf, regex and json_schema")
        kind = c.PONDER_GRAMMAR_NONE
        if gbnf is not None:
            kind = c.PONDER_GRAMMAR_GBNF
        elif regex is not None:
            kind = c.PONDER_GRAMMAR_REGEX
        elif json_schema is not None:
            kind = c.PONDER_GRAMMAR_JSON_SCHEMA
        text = given[0] if given else ""
        data = (text if isinstance(text, str) else json.dumps(text)).encode()
        self._call(c.lib.ponder_session_set_grammar, kind, data, len(data))

    # ---- Prompts. Each sets the whole conversation; what is computed already is reused.

    def prompt(
        self,
        messages: Messages,
        *,
        kwargs: Mapping[str, Any] | None = None,
        generation_prompt: bool = True,
        trust_content: bool = False,
        progress: PrefillProgress | None = None,
    ) -> None:
        """
        messages: the text of one user message, a list of OpenAI messages, or {"messages": [...], "tools": [...]}.
        kwargs: further template variables. progress(done, total) may return False to stop.
        """
        data, more = messages_json(messages), kwargs_json(kwargs)
        flags = _chat_flags(generation_prompt, trust_content)
        self._prompt(c.lib.ponder_session_prompt_chat, progress, data, len(data), more, len(more or b""), flags)

    def prompt_user(self, text: str) -> None:
        """One user message, as ponder_session_prompt takes it."""
        data = text_bytes(text)
        with self._in_use() as host:
            self._waiting = None
            self._compute(host, c.lib.ponder_session_prompt, data, len(data))

    def prompt_text(self, text: str, *, special: bool = False, progress: PrefillProgress | None = None) -> None:
        """A raw prompt without a template."""
        data = text_bytes(text)
        flags = c.PONDER_ENCODE_SPECIAL if special else 0
        self._prompt(c.lib.ponder_session_prompt_text, progress, data, len(data), flags)

    def prompt_ids(self, ids: Iterable[int], *, progress: PrefillProgress | None = None) -> None:
        self._prompt(c.lib.ponder_session_prompt_ids, progress, *id_array(ids))

    def append_ids(self, ids: Iterable[int], *, progress: PrefillProgress | None = None) -> None:
        """Adds ids behind what is there; all of it is the prompt of the next reply."""
        self._prompt(c.lib.ponder_session_append_ids, progress, *id_array(ids))

    def _prompt(self, function: Any, progress: PrefillProgress | None, *args: Any) -> None:
        with self._in_use() as host:
            trampoline: Any = _no_progress
            if progress is not None:
                told = progress
                trampoline = c.ponder_prefill_fn(
                    lambda _, done, total: 1 if host.run(lambda: told(done, total)) is False else 0
                )
            self._compute(host, function, *args, trampoline, None)
            self._waiting = None

    async def aprompt(self, messages: Messages, **options: Any) -> None:
        """prompt() off the event loop's thread; cancelling the task cancels it."""
        await self._in_thread(lambda: self.prompt(messages, **options))

    def chat_ids(
        self,
        messages: Messages,
        *,
        kwargs: Mapping[str, Any] | None = None,
        generation_prompt: bool = True,
        trust_content: bool = False,
    ) -> list[int]:
        """The ids that prompt() would use."""
        data, more = messages_json(messages), kwargs_json(kwargs)
        flags = _chat_flags(generation_prompt, trust_content)
        with self._in_use():
            return ids_of(
                c.lib.ponder_session_chat_ids, self._handle, data, len(data), more, len(more or b""), flags
            )

    # ---- The reply

    def next(self) -> Event | None:
        """The next token of the reply; None when it is complete."""
        with self._in_use() as host:
            if self._waiting is not None:
                event, self._waiting = self._waiting, None
                return event
            status = self._compute(host, c.lib.ponder_session_next, byref(self._event), go_on=True)
            return event_of(self._event) if status == c.PONDER_OK else None

    def step(self, budget_us: int) -> Event | Pending | None:
        """As next(), but PENDING after about budget_us microseconds; call again to go on."""
        with self._in_use():
            if self._waiting is not None:
                event, self._waiting = self._waiting, None
                return event
            status = call(c.lib.ponder_session_step, self._handle, budget_us, byref(self._event))
            if status == c.PONDER_PENDING:
                return PENDING
            return event_of(self._event) if status == c.PONDER_OK else None

    def generate(self, on_event: Callable[[Event], Any] | None = None) -> Reply:
        """The rest of the reply. on_event may return False to stop; a later call then goes on."""
        thinking: list[str] = []
        answer: list[str] = []
        tokens: list[int] = []
        stopped = False

        def take(event: Event) -> bool:
            nonlocal stopped
            tokens.append(event.id)
            (thinking if event.thinking else answer).append(event.text)
            stopped = on_event is not None and on_event(event) is False
            return not stopped

        with self._in_use() as host:
            if self._waiting is not None:
                event, self._waiting = self._waiting, None
                take(event)
            if not stopped:
                trampoline = c.ponder_token_fn(
                    lambda _, raw: 1 if _take(host, take, event_of(raw.contents)) is False else 0
                )
                try:
                    self._compute(host, c.lib.ponder_session_generate, trampoline, None, go_on=True)
                except CancelledError:
                    if not stopped:
                        raise
        return Reply("".join(thinking), "".join(answer), self.finish_reason, tokens)

    def ask(self, messages: Messages, **params: Any) -> Reply:
        """prompt() and generate(); params as of set_params() where there are any."""
        if params:
            self.set_params(**params)
        self.prompt(messages)
        return self.generate()

    def chat(self, messages: Messages, **params: Any) -> Iterator[Event]:
        """prompt(), then the events of the reply; params as of set_params() where there are any."""
        if params:
            self.set_params(**params)
        self.prompt(messages)
        return iter(self)

    async def achat(self, messages: Messages, **params: Any) -> AsyncIterator[Event]:
        """chat() off the event loop's thread; cancelling the task stops it, and the session stays usable."""
        if params:
            self.set_params(**params)
        await self.aprompt(messages)
        async for event in self:
            yield event

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event: Event | None = await self._in_thread(self.next)
        if event is None:
            raise StopAsyncIteration
        return event

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        future = asyncio.get_running_loop().run_in_executor(None, function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.cancel()
            while not future.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            with self._in_use():
                if future.exception() is None and isinstance(future.result(), Event):
                    self._waiting = future.result()
                self._clear_cancel()
            raise

    def cancel(self) -> None:
        """
        From any thread or a function that the session calls: the running call, or else the next one that computes, raises
        CancelledError, and so do all that follow until a prompt, rewind() or restore().
        """
        with self._cancel_lock:
            c.lib.ponder_session_cancel(self._handle)

    @property
    def finish_reason(self) -> Finish:
        return Finish(c.lib.ponder_session_finish_reason(self._handle))

    @property
    def next_channel(self) -> Channel:
        """The channel that the next token belongs to."""
        return Channel(c.lib.ponder_session_next_channel(self._handle))

    # ---- State

    def fork(self) -> Session:
        """A second session with the same content, settings and random state, sharing the common prefix."""
        other = Session.__new__(Session)
        with self._in_use():
            other._init(self.model, handle_of(c.lib.ponder_session_fork, self._handle))
        other._sampling, other._adapters = self._sampling, self._adapters
        if self._sampling is not None and self._sampling.sampler is not None:
            other.set_params(self._sampling)  # a trampoline of its own
        return other

    def rewind(self, n_tokens: int) -> None:
        """Keeps the first n_tokens tokens; decoding goes on from there, also after a cancel."""
        if n_tokens < 0:
            raise error_of(c.PONDER_E_INVALID_ARGUMENT, f"rewind to {n_tokens} tokens".encode())
        self._call(c.lib.ponder_session_rewind, n_tokens)
        self._waiting = None

    def save(self) -> bytes:
        """The whole state, but a sampler of the host's."""
        with self._in_use():
            return bytes_of(c.lib.ponder_session_save, self._handle)

    def save_file(self, path: Path) -> None:
        self._call(c.lib.ponder_session_save_file, path_bytes(path))

    def restore(self, state: bytes) -> None:
        data = bytes(state)
        self._call(c.lib.ponder_session_restore, data, len(data))
        self._waiting = None

    def restore_file(self, path: Path) -> None:
        self._call(c.lib.ponder_session_restore_file, path_bytes(path))
        self._waiting = None

    @property
    def tokens(self) -> list[int]:
        """All token ids, prompt and reply."""
        with self._in_use():
            return ids_of(c.lib.ponder_session_tokens, self._handle)

    @property
    def stats(self) -> SessionStats:
        raw = c.ponder_session_stats()
        self._call(c.lib.ponder_session_get_stats, byref(raw))
        stats: SessionStats = info_of(SessionStats, raw)
        return stats

    # ---- Numbers

    def logits(self) -> Array:
        """[vocab_size] f32 of the last position, before temperature and penalties."""
        out = new("f", self._vocab_size)
        with self._in_use() as host:
            self._compute(host, c.lib.ponder_session_logits, out, len(out), go_on=True)
        return as_array(out, "f", [len(out)])

    def top_logprobs(self, n: int) -> list[Logprob]:
        """The n likeliest next tokens, best first."""
        out = (c.ponder_logprob * max(n, 0))()
        with self._in_use() as host:
            self._compute(host, c.lib.ponder_session_top_logprobs, out, n, go_on=True)
        return [Logprob(entry.id, entry.logprob) for entry in out]

    def prompt_logprobs(self) -> Array:
        """log p of each token given those before it; the first is 0."""
        with self._in_use() as host:
            out = new("f", len(ids_of(c.lib.ponder_session_tokens, self._handle)))
            self._compute(host, c.lib.ponder_session_prompt_logprobs, out, len(out), go_on=True)
        return as_array(out, "f", [len(out)])

    def embed(
        self,
        inputs: Sequence[str] | Sequence[Sequence[int]],
        *,
        pooling: str | None = None,
        normalize: bool = False,
        special: bool = False,
    ) -> Array:
        """One vector per text or list of token ids: [len(inputs), hidden_size] f32. pooling: "mean", the default, or "last"."""
        if isinstance(inputs, str):
            raise error_of(c.PONDER_E_INVALID_ARGUMENT, b"embed wants a list of texts")
        kind = choice("pooling", pooling, _poolings)
        flags = (c.PONDER_EMBED_NORMALIZE if normalize else 0) | (c.PONDER_EMBED_SPECIAL if special else 0)
        hidden_size = self.model.info.hidden_size
        out = new("f", len(inputs) * hidden_size)
        count = c_size_t()
        function, args = c.lib.ponder_session_embed_ids, []
        if inputs and isinstance(inputs[0], str):
            data = [text_bytes(str(text)) for text in inputs]
            texts = (c.ponder_text * len(data))(*(c.ponder_text(text, len(text)) for text in data))
            function, args = c.lib.ponder_session_embed_texts, [texts, len(data)]
        else:
            lengths = (c_size_t * len(inputs))(*(len(ids) for ids in inputs))
            args = [id_array([int(id) for ids in inputs for id in ids])[0], lengths, len(inputs)]
        with self._in_use() as host:
            self._compute(host, function, *args, kind, flags, out, len(out), byref(count), go_on=True)
        return as_array(out, "f", [len(inputs), hidden_size])

    def evaluate(
        self,
        ids: Iterable[int],
        *,
        last: bool = False,
        hidden: bool = False,
        moe: bool = False,
        mtp_next_ids: Sequence[int] | None = None,
    ) -> dict[str, Array]:
        """A forward pass in a cache of its own: "logits", and what is asked for, by name. Experimental."""
        tensors: dict[str, Array] = {}

        def take(_: int, name: bytes, dtype: int, data: int, shape: Any, n_dims: int) -> int:
            sizes = [shape[i] for i in range(n_dims)]
            kept = host.run(lambda: tensors.__setitem__(name.decode(), copied(data, _dtypes[dtype], sizes)))
            return 1 if kept is False else 0

        flags = (
            (c.PONDER_EVALUATE_LAST if last else 0)
            | (c.PONDER_EVALUATE_HIDDEN if hidden else 0)
            | (c.PONDER_EVALUATE_MOE if moe else 0)
        )
        array, n = id_array(ids)
        following = None
        if mtp_next_ids is not None:
            following, n_following = id_array(mtp_next_ids)
            if n_following != n:
                raise error_of(c.PONDER_E_INVALID_ARGUMENT, b"mtp_next_ids and ids are not of one length")
        with self._in_use() as host:
            self._compute(
                host,
                c.lib.ponder_session_evaluate,
                array,
                n,
                following,
                flags,
                c.ponder_tensor_fn(take),
                None,
                go_on=True,
            )
        return tensors


def _text(raw: Any) -> str:
    """A ponder_text; its pointer as a number, since c_char_p would end at the first NUL."""
    pointer = c_void_p.from_buffer(raw).value
    return string_at(pointer, raw.size).decode() if pointer and raw.size else ""


def next_batch(sessions: Sequence[Session]) -> list[Event | Error | None]:
    """One decode step of several sessions of one model in one forward pass: for each its event, None at its end, or
    its error."""
    handles = (c_void_p * len(sessions))(*(session._handle for session in sessions))
    events = (c.ponder_token_event * len(sessions))()
    for raw in events:
        raw.struct_size = sizeof(raw)
    statuses = (c_int32 * len(sessions))()
    err = c.ponder_error()
    host = Host()
    with contextlib.ExitStack() as stack:
        for session in dict.fromkeys(sessions):
            stack.enter_context(session._in_use())
            session._host = host

        def cancel() -> None:
            for session in sessions:
                session.cancel()

        status, interrupt = run_interruptible(
            host,
            lambda: int(
                c.lib.ponder_session_next_batch(
                    cast(handles, c._out), len(sessions), events, statuses, byref(err)
                )
            ),
            cancel,
        )
        if interrupt is not None or host.error is not None:
            for session, raw, own in zip(sessions, events, statuses):
                if status == c.PONDER_OK and own == c.PONDER_OK:
                    session._waiting = event_of(raw)
                session._clear_cancel()
            raise interrupt or host.error or AssertionError
        check(status, err)
    results: list[Event | Error | None] = []
    first = True
    for raw, own in zip(events, statuses):
        if own == c.PONDER_OK:
            results.append(event_of(raw))
        elif own > 0:
            results.append(None)
        else:  # the message is of the first session with an error
            results.append(error_of(own, err.message if first else b""))
            first = False
    return results


def _take(host: Host, take: Callable[[Event], bool], event: Event) -> Any:
    return host.run(lambda: take(event))


def _chat_flags(generation_prompt: bool, trust_content: bool) -> int:
    return (0 if generation_prompt else c.PONDER_CHAT_NO_GENERATION_PROMPT) | (
        c.PONDER_CHAT_TRUST_CONTENT if trust_content else 0
    )
