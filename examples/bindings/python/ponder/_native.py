"""ponder.h in ctypes: every constant, struct and function, under the header's names. Nothing here is public.

ctypes releases the GIL for the length of every call and takes it again in callbacks.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import Any

# ---- Status
PONDER_OK = 0
PONDER_END = 1
PONDER_PENDING = 2
PONDER_E_INVALID_ARGUMENT = -1
PONDER_E_OUT_OF_MEMORY = -2
PONDER_E_IO = -3
PONDER_E_NOT_FOUND = -4
PONDER_E_BAD_FILE = -5
PONDER_E_UNSUPPORTED = -6
PONDER_E_STATE = -7
PONDER_E_CONTEXT_FULL = -8
PONDER_E_CANCELLED = -9
PONDER_E_NO_TOKENIZER = -10
PONDER_E_TEMPLATE = -11
PONDER_E_NUMERIC = -12
PONDER_E_BUFFER_TOO_SMALL = -13
PONDER_E_CALLBACK = -14
PONDER_E_DEVICE = -15
PONDER_E_INTERNAL = -100

# ---- Enumerations and flags
PONDER_LOG_DEFAULT = 0
PONDER_LOG_DEBUG = 1
PONDER_LOG_INFO = 2
PONDER_LOG_WARNING = 3
PONDER_LOG_ERROR = 4
PONDER_COMPUTE_DEFAULT = 0
PONDER_COMPUTE_EXACT = 1
PONDER_COMPUTE_FAST = 2
PONDER_KV_DEFAULT = 0
PONDER_KV_F32 = 1
PONDER_KV_F16 = 2
PONDER_KV_BF16 = 3
PONDER_KV_Q8_0 = 4
PONDER_KV_FP8 = 5
PONDER_SESSION_DEFER_PREFILL = 1
PONDER_MODEL_NO_MTP = 1
PONDER_ENCODE_SPECIAL = 1
PONDER_ENCODE_BOS = 2
PONDER_DECODE_SKIP_SPECIAL = 1
PONDER_TOKEN_ADDED = 1
PONDER_TOKEN_SPECIAL = 2
PONDER_CHAT_NO_GENERATION_PROMPT = 1
PONDER_CHAT_TRUST_CONTENT = 2
PONDER_GENERATE_IGNORE_EOS = 1
PONDER_GENERATE_CONTEXT_SHIFT = 2
PONDER_THINK_NONE = -2
PONDER_CHANNEL_ANSWER = 0
PONDER_CHANNEL_THINKING = 1
PONDER_FINISH_NONE = 0
PONDER_FINISH_STOP = 1
PONDER_FINISH_LENGTH = 2
PONDER_FINISH_LOOP = 3
PONDER_FINISH_CANCELLED = 4
PONDER_FINISH_ERROR = 5
PONDER_EFFORT_DEFAULT = 0
PONDER_EFFORT_NONE = 1
PONDER_EFFORT_LOW = 2
PONDER_EFFORT_MEDIUM = 3
PONDER_EFFORT_HIGH = 4
PONDER_EARLY_EXIT_DEFAULT = 0
PONDER_EARLY_EXIT_OFF = 1
PONDER_EARLY_EXIT_PROBE = 2
PONDER_EARLY_EXIT_CONFIDENCE = 3
PONDER_REASONING_NO_LOOP_DETECTION = 1
PONDER_THINK_END_NONE = 0
PONDER_THINK_END_MODEL = 1
PONDER_THINK_END_BUDGET = 2
PONDER_THINK_END_GRACE_CUT = 3
PONDER_THINK_END_EARLY_EXIT = 4
PONDER_THINK_END_LOOP = 5
PONDER_THINK_END_USER = 6
PONDER_ANSWER_BOXED = 0
PONDER_ANSWER_BOXED_OR_NUMBER = 1
PONDER_ANSWER_TAG = 2
PONDER_SAMPLES_WEIGHTED = 1
PONDER_SAMPLES_ALL = 2
PONDER_EVALUATE_LAST = 1
PONDER_EVALUATE_HIDDEN = 2
PONDER_EVALUATE_MOE = 4
PONDER_DTYPE_F32 = 0
PONDER_DTYPE_I32 = 1
PONDER_GRAMMAR_NONE = 0
PONDER_GRAMMAR_GBNF = 1
PONDER_GRAMMAR_REGEX = 2
PONDER_GRAMMAR_JSON_SCHEMA = 3
PONDER_POOLING_DEFAULT = 0
PONDER_POOLING_MEAN = 1
PONDER_POOLING_LAST = 2
PONDER_EMBED_NORMALIZE = 1
PONDER_EMBED_SPECIAL = 2

# ---- Functions of the host
ponder_log_fn = CFUNCTYPE(None, c_void_p, c_int32, c_void_p, c_size_t)
ponder_task_fn = CFUNCTYPE(None, c_void_p, c_size_t)
ponder_executor_fn = CFUNCTYPE(None, c_void_p, c_size_t, ponder_task_fn, c_void_p)
ponder_thread_fn = CFUNCTYPE(None, c_void_p, c_int32)
ponder_allocate_fn = CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)
ponder_deallocate_fn = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t, c_size_t)
ponder_file_open_fn = CFUNCTYPE(c_int32, c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_uint64))
ponder_file_read_fn = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_uint64, c_void_p, c_size_t)
ponder_file_close_fn = CFUNCTYPE(None, c_void_p, c_void_p)
ponder_file_map_fn = CFUNCTYPE(c_void_p, c_void_p, c_void_p)
ponder_progress_fn = CFUNCTYPE(c_int32, c_void_p, c_float)
ponder_quantize_fn = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64, c_char_p)
ponder_imatrix_fn = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)
ponder_sampler_fn = CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_size_t, POINTER(c_int32))
ponder_prefill_fn = CFUNCTYPE(c_int32, c_void_p, c_size_t, c_size_t)
ponder_tensor_fn = CFUNCTYPE(c_int32, c_void_p, c_char_p, c_int32, c_void_p, POINTER(c_int64), c_int32)


# ---- Structs
class ponder_error(Structure):
    _fields_ = [("code", c_int32), ("message", c_char * 508)]


class Sized(Structure):
    """A struct that begins with its own size."""

    struct_size: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.struct_size = ctypes.sizeof(self)


class ponder_runtime_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("n_threads", c_int32),
        ("max_isa", c_char_p),
        ("log", ponder_log_fn),
        ("log_user_data", c_void_p),
        ("log_level", c_int32),
        ("flags", c_uint32),
        ("on_thread_start", ponder_thread_fn),
        ("thread_user_data", c_void_p),
        ("executor", ponder_executor_fn),
        ("executor_user_data", c_void_p),
        ("memory_limit", c_int64),
        ("allocate", ponder_allocate_fn),
        ("deallocate", ponder_deallocate_fn),
        ("allocator_user_data", c_void_p),
    ]


class ponder_memory_info(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("limit_bytes", c_int64),
        ("used_bytes", c_int64),
        ("peak_bytes", c_int64),
        ("weight_bytes", c_int64),
        ("kv_bytes", c_int64),
        ("scratch_bytes", c_int64),
        ("other_bytes", c_int64),
    ]


class ponder_file_system(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("user_data", c_void_p),
        ("open", ponder_file_open_fn),
        ("read", ponder_file_read_fn),
        ("close", ponder_file_close_fn),
        ("map", ponder_file_map_fn),
    ]


class ponder_session_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("context_length", c_int64),
        ("n_threads", c_int32),
        ("prefill_chunk", c_int32),
        ("compute", c_int32),
        ("kv_type", c_int32),
        ("prompt_cache", c_char_p),
        ("prompt_cache_bytes", c_int64),
        ("prompt_cache_min_tokens", c_int32),
        ("reserved", c_uint32),
    ]


class ponder_model_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("progress", ponder_progress_fn),
        ("progress_user_data", c_void_p),
        ("weight_type", c_char_p),
        ("files", POINTER(ponder_file_system)),
    ]


class ponder_memory_file(Structure):
    _fields_ = [("name", c_char_p), ("data", c_void_p), ("size", c_size_t)]


class ponder_model_info(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("vocab_size", c_int32),
        ("hidden_size", c_int32),
        ("num_hidden_layers", c_int32),
        ("max_position_embeddings", c_int32),
        ("has_tokenizer", c_int32),
        ("has_chat_template", c_int32),
        ("has_mtp", c_int32),
        ("bos_token_id", c_int32),
        ("n_eos_token_ids", c_int32),
        ("n_parameters", c_int64),
        ("n_active_parameters", c_int64),
        ("weight_bytes", c_int64),
        ("kv_bytes_per_token", c_int64),
        ("fingerprint", c_uint64),
        ("active_weight_bytes", c_int64),
    ]


class ponder_memory_plan(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("context_length", c_int64),
        ("weight_bytes", c_int64),
        ("kv_bytes", c_int64),
        ("scratch_bytes", c_int64),
        ("total_bytes", c_int64),
        ("other_bytes", c_int64),
    ]


class ponder_quantize_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("type", c_char_p),
        ("imatrix_path", c_char_p),
        ("progress", ponder_quantize_fn),
        ("progress_user_data", c_void_p),
        ("files", POINTER(ponder_file_system)),
    ]


class ponder_imatrix_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("chunk_tokens", c_int32),
        ("max_chunks", c_int32),
        ("progress", ponder_imatrix_fn),
        ("progress_user_data", c_void_p),
    ]


class ponder_tokenizer_info(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("n_ids", c_int32),
        ("bos_token_id", c_int32),
        ("eos_token_id", c_int32),
        ("think_start_id", c_int32),
        ("think_end_id", c_int32),
        ("adds_bos", c_int32),
        ("has_chat_template", c_int32),
    ]


class ponder_logit_bias(Structure):
    _fields_ = [("id", c_int32), ("bias", c_float)]


class ponder_text(Structure):
    _fields_ = [("data", c_char_p), ("size", c_size_t)]


class ponder_logprob(Structure):
    _fields_ = [("id", c_int32), ("logprob", c_float)]


class ponder_generate_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("max_new_tokens", c_int64),
        ("think_budget", c_int64),
        ("context_keep", c_int64),
        ("seed", c_uint64),
        ("temperature", c_float),
        ("top_k", c_int32),
        ("top_p", c_float),
        ("min_p", c_float),
        ("typical_p", c_float),
        ("top_n_sigma", c_float),
        ("xtc_probability", c_float),
        ("xtc_threshold", c_float),
        ("mirostat", c_int32),
        ("mirostat_tau", c_float),
        ("mirostat_eta", c_float),
        ("repetition_penalty", c_float),
        ("presence_penalty", c_float),
        ("frequency_penalty", c_float),
        ("penalty_last_n", c_int32),
        ("dry_multiplier", c_float),
        ("dry_base", c_float),
        ("dry_allowed_length", c_int32),
        ("dry_last_n", c_int32),
        ("n_top_logprobs", c_int32),
        ("logit_bias", POINTER(ponder_logit_bias)),
        ("n_logit_bias", c_size_t),
        ("stop", POINTER(ponder_text)),
        ("n_stop", c_size_t),
        ("stop_ids", POINTER(c_int32)),
        ("n_stop_ids", c_size_t),
        ("sampler", ponder_sampler_fn),
        ("sampler_user_data", c_void_p),
    ]


class ponder_token_event(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("id", c_int32),
        ("channel", c_int32),
        ("forced", c_int32),
        ("text", c_void_p),
        ("text_len", c_size_t),
        ("top_logprobs", POINTER(ponder_logprob)),
        ("n_top_logprobs", c_size_t),
        ("logprob", c_float),
        ("flags", c_uint32),
    ]


class ponder_adapter_info(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("max_rank", c_int32),
        ("n_weights", c_int64),
        ("n_parameters", c_int64),
        ("fingerprint", c_uint64),
    ]


class ponder_adapter_use(Structure):
    _fields_ = [
        ("adapter", c_void_p),
        ("scale", c_float),
        ("flags", c_uint32),
    ]


class ponder_batch_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("token_budget", c_int32),
        ("n_threads", c_int32),
    ]


class ponder_batch_event(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("status", c_int32),
        ("session", c_void_p),
        ("token", POINTER(ponder_token_event)),
        ("message", c_char_p),
    ]


class ponder_session_stats(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("context_length", c_int64),
        ("n_tokens", c_int64),
        ("prompt_tokens", c_int64),
        ("reused_tokens", c_int64),
        ("thinking_tokens", c_int64),
        ("answer_tokens", c_int64),
        ("forced_tokens", c_int64),
        ("kv_bytes", c_int64),
        ("scratch_bytes", c_int64),
        ("prefill_ms", c_double),
        ("decode_ms", c_double),
        ("think_end", c_int32),
        ("n_waits", c_int32),
        ("probe_tokens", c_int64),
    ]


class ponder_reasoning_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("effort", c_int32),
        ("grace", c_int32),
        ("turn_budget", c_int64),
        ("block_budget", c_int64),
        ("answer_reserve", c_int64),
        ("min_tokens", c_int64),
        ("max_waits", c_int64),
        ("wait_text", c_char_p),
        ("message", c_char_p),
        ("early_exit", c_int32),
        ("confidence", c_float),
        ("probe_every", c_int32),
        ("probe_agree", c_int32),
        ("probe_tokens", c_int32),
        ("probe_max", c_int32),
        ("probe_text", c_char_p),
    ]


class ponder_samples_params(Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("n", c_int32),
        ("n_parallel", c_int32),
        ("place", c_int32),
        ("reserved", c_uint32),
        ("threshold", c_double),
    ]


class ponder_sample(Structure):
    _fields_ = [
        ("index", c_int64),
        ("thinking", ponder_text),
        ("answer", ponder_text),
        ("extracted", ponder_text),
        ("ids", POINTER(c_int32)),
        ("n_ids", c_size_t),
        ("mean_logprob", c_double),
        ("finish", c_int32),
        ("think_end", c_int32),
    ]


ponder_token_fn = CFUNCTYPE(c_int32, c_void_p, POINTER(ponder_token_event))
ponder_verifier_fn = CFUNCTYPE(c_int32, c_void_p, POINTER(ponder_sample), POINTER(c_double))

# ---- Functions: name -> (result, arguments). Handles are c_void_p, bytes with a length c_char_p.
_err = POINTER(ponder_error)
_out = POINTER(c_void_p)
_ids = POINTER(c_int32)
_count = POINTER(c_size_t)
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "ponder_status_name": (c_char_p, [c_int32]),
    "ponder_version": (c_char_p, []),
    "ponder_abi_version": (c_uint32, []),
    "ponder_buffer_data": (c_void_p, [c_void_p]),
    "ponder_buffer_size": (c_size_t, [c_void_p]),
    "ponder_buffer_free": (None, [c_void_p]),
    "ponder_runtime_create": (c_int32, [POINTER(ponder_runtime_params), _out, _err]),
    "ponder_runtime_free": (None, [c_void_p]),
    "ponder_runtime_isa": (c_char_p, [c_void_p]),
    "ponder_runtime_threads": (c_int32, [c_void_p]),
    "ponder_runtime_memory": (c_int32, [c_void_p, POINTER(ponder_memory_info), _err]),
    "ponder_selftest": (c_int32, [c_void_p, _out, _err]),
    "ponder_inspect_files": (
        c_int32,
        [POINTER(ponder_file_system), c_char_p, POINTER(ponder_session_params), _out, _err],
    ),
    "ponder_tokenizer_load_files": (c_int32, [POINTER(ponder_file_system), c_char_p, _out, _err]),
    "ponder_template_load_files": (c_int32, [POINTER(ponder_file_system), c_char_p, _out, _err]),
    "ponder_model_load": (c_int32, [c_void_p, c_char_p, POINTER(ponder_model_params), _out, _err]),
    "ponder_model_load_memory": (
        c_int32,
        [c_void_p, POINTER(ponder_memory_file), c_size_t, POINTER(ponder_model_params), _out, _err],
    ),
    "ponder_model_random": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, c_char_p, c_int32, c_uint64, _out, _err],
    ),
    "ponder_model_free": (None, [c_void_p]),
    "ponder_model_get_info": (c_int32, [c_void_p, POINTER(ponder_model_info), _err]),
    "ponder_model_eos_ids": (c_int32, [c_void_p, _ids, c_size_t, _count, _err]),
    "ponder_model_plan": (
        c_int32,
        [c_void_p, POINTER(ponder_session_params), POINTER(ponder_memory_plan), _err],
    ),
    "ponder_inspect": (c_int32, [c_char_p, POINTER(ponder_session_params), _out, _err]),
    "ponder_inspect_memory": (
        c_int32,
        [POINTER(ponder_memory_file), c_size_t, POINTER(ponder_session_params), _out, _err],
    ),
    "ponder_model_resolve": (c_int32, [c_char_p, _out, _err]),
    "ponder_model_list": (c_int32, [_out, _err]),
    "ponder_model_load_report": (c_int32, [c_void_p, _out, _err]),
    "ponder_quantize": (
        c_int32,
        [c_void_p, c_char_p, c_char_p, POINTER(ponder_quantize_params), _out, _err],
    ),
    "ponder_imatrix": (
        c_int32,
        [c_void_p, c_void_p, c_char_p, c_size_t, c_char_p, POINTER(ponder_imatrix_params), _out, _err],
    ),
    "ponder_tokenizer_load": (c_int32, [c_char_p, _out, _err]),
    "ponder_model_tokenizer": (c_int32, [c_void_p, _out, _err]),
    "ponder_tokenizer_free": (None, [c_void_p]),
    "ponder_tokenizer_get_info": (c_int32, [c_void_p, POINTER(ponder_tokenizer_info), _err]),
    "ponder_tokenizer_encode": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, c_uint32, _ids, c_size_t, _count, _err],
    ),
    "ponder_tokenizer_decode": (c_int32, [c_void_p, _ids, c_size_t, c_uint32, _out, _err]),
    "ponder_tokenizer_find": (c_int32, [c_void_p, c_char_p, c_size_t, _ids, _err]),
    "ponder_tokenizer_token": (c_int32, [c_void_p, c_int32, _out, _count, POINTER(c_uint32), _err]),
    "ponder_template_load": (c_int32, [c_char_p, _out, _err]),
    "ponder_template_builtin": (c_int32, [c_char_p, _out, _err]),
    "ponder_model_template": (c_int32, [c_void_p, _out, _err]),
    "ponder_template_free": (None, [c_void_p]),
    "ponder_template_render": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_uint32, _out, _err],
    ),
    "ponder_model_generate_params": (c_int32, [c_void_p, POINTER(ponder_generate_params), _err]),
    "ponder_session_create": (c_int32, [c_void_p, c_void_p, POINTER(ponder_session_params), _out, _err]),
    "ponder_session_free": (None, [c_void_p]),
    "ponder_session_set_params": (c_int32, [c_void_p, POINTER(ponder_generate_params), _err]),
    "ponder_session_get_params": (c_int32, [c_void_p, POINTER(ponder_generate_params), _err]),
    "ponder_session_prompt_chat": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_uint32, ponder_prefill_fn, c_void_p, _err],
    ),
    "ponder_session_prompt": (c_int32, [c_void_p, c_char_p, c_size_t, _err]),
    "ponder_session_prompt_text": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, c_uint32, ponder_prefill_fn, c_void_p, _err],
    ),
    "ponder_session_prompt_ids": (c_int32, [c_void_p, _ids, c_size_t, ponder_prefill_fn, c_void_p, _err]),
    "ponder_session_append_ids": (c_int32, [c_void_p, _ids, c_size_t, ponder_prefill_fn, c_void_p, _err]),
    "ponder_session_chat_ids": (
        c_int32,
        [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_uint32, _ids, c_size_t, _count, _err],
    ),
    "ponder_session_next": (c_int32, [c_void_p, POINTER(ponder_token_event), _err]),
    "ponder_session_step": (c_int32, [c_void_p, c_int64, POINTER(ponder_token_event), _err]),
    "ponder_session_next_batch": (
        c_int32,
        [_out, c_size_t, POINTER(ponder_token_event), POINTER(c_int32), _err],
    ),
    "ponder_session_generate": (c_int32, [c_void_p, ponder_token_fn, c_void_p, _err]),
    "ponder_session_set_grammar": (c_int32, [c_void_p, c_int32, c_char_p, c_size_t, _err]),
    "ponder_session_cancel": (None, [c_void_p]),
    "ponder_session_finish_reason": (c_int32, [c_void_p]),
    "ponder_session_next_channel": (c_int32, [c_void_p]),
    "ponder_session_fork": (c_int32, [c_void_p, _out, _err]),
    "ponder_session_rewind": (c_int32, [c_void_p, c_size_t, _err]),
    "ponder_session_save": (c_int32, [c_void_p, _out, _err]),
    "ponder_session_save_file": (c_int32, [c_void_p, c_char_p, _err]),
    "ponder_session_restore": (c_int32, [c_void_p, c_char_p, c_size_t, _err]),
    "ponder_session_restore_file": (c_int32, [c_void_p, c_char_p, _err]),
    "ponder_session_tokens": (c_int32, [c_void_p, _ids, c_size_t, _count, _err]),
    "ponder_session_logits": (c_int32, [c_void_p, POINTER(c_float), c_size_t, _err]),
    "ponder_session_top_logprobs": (c_int32, [c_void_p, POINTER(ponder_logprob), c_size_t, _err]),
    "ponder_session_prompt_logprobs": (c_int32, [c_void_p, POINTER(c_float), c_size_t, _err]),
    "ponder_session_get_stats": (c_int32, [c_void_p, POINTER(ponder_session_stats), _err]),
    "ponder_adapter_load": (c_int32, [c_void_p, c_void_p, c_char_p, _out, _err]),
    "ponder_adapter_load_memory": (
        c_int32,
        [c_void_p, c_void_p, POINTER(ponder_memory_file), c_size_t, _out, _err],
    ),
    "ponder_adapter_free": (None, [c_void_p]),
    "ponder_adapter_get_info": (c_int32, [c_void_p, POINTER(ponder_adapter_info), _err]),
    "ponder_session_set_adapters": (c_int32, [c_void_p, POINTER(ponder_adapter_use), c_size_t, _err]),
    "ponder_session_set_reasoning": (c_int32, [c_void_p, POINTER(ponder_reasoning_params), _err]),
    "ponder_session_stop_thinking": (None, [c_void_p]),
    "ponder_session_vote": (c_int32, [c_void_p, POINTER(ponder_samples_params), _out, _err]),
    "ponder_session_best_of": (
        c_int32,
        [c_void_p, POINTER(ponder_samples_params), ponder_verifier_fn, c_void_p, _out, _err],
    ),
    "ponder_batch_create": (c_int32, [c_void_p, c_void_p, POINTER(ponder_batch_params), _out, _err]),
    "ponder_batch_free": (None, [c_void_p]),
    "ponder_batch_add": (c_int32, [c_void_p, c_void_p, c_int32, _err]),
    "ponder_batch_remove": (c_int32, [c_void_p, c_void_p, _err]),
    "ponder_batch_set_priority": (c_int32, [c_void_p, c_void_p, c_int32, _err]),
    "ponder_batch_set_paused": (c_int32, [c_void_p, c_void_p, c_int32, _err]),
    "ponder_batch_next": (c_int32, [c_void_p, POINTER(ponder_batch_event), c_size_t, _count, _err]),
    "ponder_batch_step": (c_int32, [c_void_p, c_int64, POINTER(ponder_batch_event), c_size_t, _count, _err]),
    "ponder_session_embed_texts": (
        c_int32,
        [c_void_p, POINTER(ponder_text), c_size_t, c_int32, c_uint32, POINTER(c_float), c_size_t, _count, _err],
    ),
    "ponder_session_embed_ids": (
        c_int32,
        [c_void_p, _ids, _count, c_size_t, c_int32, c_uint32, POINTER(c_float), c_size_t, _count, _err],
    ),
    "ponder_session_evaluate": (
        c_int32,
        [c_void_p, _ids, c_size_t, _ids, c_uint32, ponder_tensor_fn, c_void_p, _err],
    ),
}


def _find_library() -> str:
    """PONDER_LIBRARY, else the library inside this package, else the system's."""
    name = os.environ.get("PONDER_LIBRARY")
    if name:
        return name
    names = {"win32": ["ponder.dll", "libponder.dll"], "darwin": ["libponder.dylib"]}.get(sys.platform, ["libponder.so"])
    for name in names:
        path = Path(__file__).with_name(name)
        if path.exists():
            return str(path)
    found = ctypes.util.find_library("ponder")
    if found:
        return found
    raise ImportError(
        f"{names[0]} was found neither beside {__file__} nor on this system; "
        "set PONDER_LIBRARY to its path"
    )


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(_find_library())
    for name, (result, arguments) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"{library._name} is not the ponder that this package is made for: it has no {name}") from None
        function.restype = result
        function.argtypes = arguments
    return library


lib = _load()
