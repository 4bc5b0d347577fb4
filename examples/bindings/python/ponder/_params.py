"""Settings and results as Python values."""

from __future__ import annotations

import dataclasses
import enum
import os
from ctypes import addressof, string_at
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from . import _native as c
from ._arrays import Array, at_address
from ._call import Host, id_array, path_bytes, text_bytes
from ._errors import InvalidArgumentError


class Channel(enum.IntEnum):
    ANSWER = c.PONDER_CHANNEL_ANSWER
    THINKING = c.PONDER_CHANNEL_THINKING


class Finish(enum.IntEnum):
    """Why a reply ended."""

    NONE = c.PONDER_FINISH_NONE
    STOP = c.PONDER_FINISH_STOP
    LENGTH = c.PONDER_FINISH_LENGTH
    LOOP = c.PONDER_FINISH_LOOP
    CANCELLED = c.PONDER_FINISH_CANCELLED
    ERROR = c.PONDER_FINISH_ERROR


class LogLevel(enum.IntEnum):
    DEBUG = c.PONDER_LOG_DEBUG
    INFO = c.PONDER_LOG_INFO
    WARNING = c.PONDER_LOG_WARNING
    ERROR = c.PONDER_LOG_ERROR


THINK_NONE = c.PONDER_THINK_NONE


class Logprob(NamedTuple):
    id: int
    logprob: float


class Event(NamedTuple):
    """One token of a reply."""

    id: int
    text: str  # whole characters, possibly none; <think> and </think> have none
    channel: Channel
    forced: bool = False  # not sampled: think_budget
    logprob: float = 0.0
    top_logprobs: tuple[Logprob, ...] = ()

    @property
    def thinking(self) -> bool:
        return self.channel == Channel.THINKING


def event_of(raw: c.ponder_token_event) -> Event:
    channel = Channel.THINKING if raw.channel == c.PONDER_CHANNEL_THINKING else Channel.ANSWER
    text = string_at(raw.text, raw.text_len).decode("utf-8", "replace") if raw.text_len else ""
    top = tuple(Logprob(raw.top_logprobs[i].id, raw.top_logprobs[i].logprob) for i in range(raw.n_top_logprobs))
    return Event(raw.id, text, channel, bool(raw.forced), raw.logprob, top)


@dataclass
class Reply:
    """A whole reply."""

    thinking: str
    answer: str
    finish: Finish
    tokens: list[int]

    def __str__(self) -> str:
        return self.answer


Sampler = Callable[[Array], "int | None"]

_numbers = [
    "max_new_tokens", "think_budget", "context_keep", "seed", "temperature", "top_k", "top_p", "min_p", "typical_p",
    "top_n_sigma", "xtc_probability", "xtc_threshold", "mirostat", "mirostat_tau", "mirostat_eta", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "penalty_last_n", "dry_multiplier", "dry_base", "dry_allowed_length",
    "dry_last_n", "n_top_logprobs",
]  # fmt: skip


@dataclass
class GenerateParams:
    """How to sample and when to stop. Zero in every field: greedy until the model ends its reply."""

    max_new_tokens: int = 0
    think_budget: int = 0  # thinking tokens, then </think> is forced; THINK_NONE: at once
    context_keep: int = 0
    seed: int = 0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 0.0
    min_p: float = 0.0
    typical_p: float = 0.0
    top_n_sigma: float = 0.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.0
    mirostat: int = 0
    mirostat_tau: float = 0.0
    mirostat_eta: float = 0.0
    repetition_penalty: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_last_n: int = 0
    dry_multiplier: float = 0.0
    dry_base: float = 0.0
    dry_allowed_length: int = 0
    dry_last_n: int = 0
    n_top_logprobs: int = 0
    ignore_eos: bool = False
    context_shift: bool = False
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    stop: Sequence[str] = ()
    stop_ids: Sequence[int] = ()
    sampler: Sampler | None = None  # gets the logits, may change them, returns an id or None

    @classmethod
    def r1(cls, **fields: Any) -> GenerateParams:
        """The published settings of R1."""
        return cls(temperature=0.6, top_p=0.95).replace(**fields)

    def replace(self, **fields: Any) -> GenerateParams:
        return dataclasses.replace(self, **fields)


def native_params(params: GenerateParams, host: Callable[[], Host]) -> tuple[c.ponder_generate_params, list[Any]]:
    """The struct, and what must live as long as it is used. host(): of the call that runs the sampler."""
    raw = c.ponder_generate_params()
    for name in _numbers:
        set_number(raw, name, getattr(params, name))
    raw.flags = (c.PONDER_GENERATE_IGNORE_EOS if params.ignore_eos else 0) | (
        c.PONDER_GENERATE_CONTEXT_SHIFT if params.context_shift else 0
    )
    bias = (c.ponder_logit_bias * len(params.logit_bias))(
        *(c.ponder_logit_bias(id, value) for id, value in params.logit_bias.items())
    )
    raw.logit_bias, raw.n_logit_bias = bias, len(bias)
    if isinstance(params.stop, str):
        raise InvalidArgumentError("stop is a list of strings")
    texts = [text_bytes(text) for text in params.stop]
    stop = (c.ponder_text * len(texts))(*(c.ponder_text(text, len(text)) for text in texts))
    raw.stop, raw.n_stop = stop, len(stop)
    ids, n_ids = id_array(params.stop_ids)
    raw.stop_ids, raw.n_stop_ids = ids, n_ids
    keep = [bias, texts, stop, ids]
    if params.sampler is not None:
        trampoline = _sampler_of(params.sampler, host)
        raw.sampler = trampoline
        keep.append(trampoline)
    return raw, keep


def _sampler_of(sampler: Sampler, host: Callable[[], Host]) -> Any:
    def run(_: int, logits: Any, vocab_size: int, out_id: Any) -> int:
        def sample() -> bool:
            chosen = sampler(at_address(addressof(logits.contents), "f", vocab_size))
            if chosen is not None:
                out_id[0] = int(chosen)
            return True

        return 0 if host().run(sample) else 1

    return c.ponder_sampler_fn(run)


def set_number(raw: Any, name: str, value: Any) -> None:
    """A field of a struct; integers that do not fit are refused, where ctypes would cut them."""
    setattr(raw, name, value)
    if isinstance(value, int) and getattr(raw, name) != value and not isinstance(getattr(raw, name), float):
        raise InvalidArgumentError(f"{name} is {value}, which is out of range")


def params_of(raw: c.ponder_generate_params) -> GenerateParams:
    return GenerateParams(
        **{name: getattr(raw, name) for name in _numbers},
        ignore_eos=bool(raw.flags & c.PONDER_GENERATE_IGNORE_EOS),
        context_shift=bool(raw.flags & c.PONDER_GENERATE_CONTEXT_SHIFT),
        logit_bias={raw.logit_bias[i].id: raw.logit_bias[i].bias for i in range(raw.n_logit_bias)},
        stop=[string_at(raw.stop[i].data, raw.stop[i].size).decode() for i in range(raw.n_stop)],
        stop_ids=[raw.stop_ids[i] for i in range(raw.n_stop_ids)],
    )


_compute = {None: 0, "exact": c.PONDER_COMPUTE_EXACT, "fast": c.PONDER_COMPUTE_FAST}
_kv_types = {
    None: 0,
    "f32": c.PONDER_KV_F32,
    "f16": c.PONDER_KV_F16,
    "bf16": c.PONDER_KV_BF16,
    "q8_0": c.PONDER_KV_Q8_0,
    "fp8": c.PONDER_KV_FP8,
}


@dataclass
class SessionParams:
    context_length: int = 0  # tokens; 0: min(the model's maximum, 4096)
    threads: int = 0  # 0: all of the runtime's
    prefill_chunk: int = 0  # tokens per forward pass; 0: 256
    compute: str | None = None  # "exact" or "fast", the default
    kv_type: str | None = None  # "f32", "f16", "bf16", "q8_0" or "fp8"; by default f32 in exact compute, else f16
    defer_prefill: bool = False  # prompts only set the tokens; step() computes them
    prompt_cache: str | os.PathLike[str] | None = None  # a folder for computed prompts, which any session finds again
    prompt_cache_bytes: int = 0  # 0: 4 GiB
    prompt_cache_min_tokens: int = 0  # 0: 256

    def native(self) -> c.ponder_session_params:
        raw = c.ponder_session_params()
        set_number(raw, "context_length", self.context_length)
        set_number(raw, "n_threads", self.threads)
        set_number(raw, "prefill_chunk", self.prefill_chunk)
        raw.flags = c.PONDER_SESSION_DEFER_PREFILL if self.defer_prefill else 0
        raw.prompt_cache = path_bytes(self.prompt_cache) if self.prompt_cache is not None else None
        set_number(raw, "prompt_cache_bytes", self.prompt_cache_bytes)
        set_number(raw, "prompt_cache_min_tokens", self.prompt_cache_min_tokens)
        raw.compute = choice("compute", self.compute, _compute)
        raw.kv_type = choice("kv_type", self.kv_type, _kv_types)
        return raw


def choice(name: str, value: str | None, values: Mapping[str | None, int]) -> int:
    if value not in values:
        wanted = ", ".join(str(v) for v in values if v)
        raise InvalidArgumentError(f"{name} is {value!r}, want one of {wanted}")
    return values[value]


@dataclass(frozen=True)
class ModelInfo:
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    max_position_embeddings: int
    has_tokenizer: bool
    has_chat_template: bool
    has_mtp: bool
    bos_token_id: int
    n_eos_token_ids: int
    n_parameters: int
    n_active_parameters: int
    weight_bytes: int
    kv_bytes_per_token: int
    fingerprint: int
    active_weight_bytes: int


@dataclass(frozen=True)
class AdapterInfo:
    max_rank: int
    n_weights: int
    n_parameters: int
    fingerprint: int


@dataclass(frozen=True)
class TokenizerInfo:
    n_ids: int
    bos_token_id: int
    eos_token_id: int
    think_start_id: int
    think_end_id: int
    adds_bos: bool
    has_chat_template: bool


@dataclass(frozen=True)
class MemoryPlan:
    context_length: int
    weight_bytes: int
    kv_bytes: int
    scratch_bytes: int
    total_bytes: int
    other_bytes: int


@dataclass(frozen=True)
class MemoryInfo:
    limit_bytes: int
    used_bytes: int
    peak_bytes: int
    weight_bytes: int
    kv_bytes: int
    scratch_bytes: int
    other_bytes: int


@dataclass(frozen=True)
class SessionStats:
    context_length: int
    n_tokens: int
    prompt_tokens: int
    reused_tokens: int
    thinking_tokens: int
    answer_tokens: int
    forced_tokens: int
    kv_bytes: int
    scratch_bytes: int
    prefill_ms: float
    decode_ms: float
    think_end: int = 0
    n_waits: int = 0
    probe_tokens: int = 0


def info_of(cls: Any, raw: Any) -> Any:
    """A frozen dataclass from the struct's fields of the same names."""
    fields = {f.name: getattr(raw, f.name) for f in dataclasses.fields(cls)}
    return cls(**{k: bool(v) if k.startswith(("has_", "adds_")) else v for k, v in fields.items()})
