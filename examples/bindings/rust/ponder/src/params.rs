//! Settings and results as plain values.

use std::path::PathBuf;

use ponder_sys as sys;

use crate::call::{c_path, optional, slice, text_ptr};
use crate::Result;

pub const THINK_NONE: i64 = sys::PONDER_THINK_NONE;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compute {
    /// f32 activations and accumulation; the same bits for any threads, chunks and batches.
    Exact,
    /// Whatever is quickest.
    #[default]
    Fast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Fp8,
}

#[derive(Clone, Debug, Default)]
pub struct SessionParams {
    /// Tokens; 0: min(the model's maximum, 4096).
    pub context_length: i64,
    /// 0: all of the runtime's.
    pub threads: i32,
    /// Tokens per forward pass; 0: 256.
    pub prefill_chunk: i32,
    pub compute: Compute,
    /// None: f32 in exact compute, f16 in fast.
    pub kv_type: Option<KvType>,
    /// Prompts only set the tokens; `next` and `step` compute them.
    pub defer_prefill: bool,
    /// A folder for computed prompts, which any session finds again.
    pub prompt_cache: Option<PathBuf>,
    /// 0: 4 GiB.
    pub prompt_cache_bytes: i64,
    /// 0: 256.
    pub prompt_cache_min_tokens: i32,
}

impl SessionParams {
    /// Calls f with the struct, whose strings live as long.
    pub(crate) fn with_raw<R>(&self, f: impl FnOnce(&sys::ponder_session_params) -> Result<R>) -> Result<R> {
        let prompt_cache = self.prompt_cache.as_deref().map(c_path).transpose()?;
        f(&sys::ponder_session_params {
            prompt_cache: optional(&prompt_cache),
            prompt_cache_bytes: self.prompt_cache_bytes,
            prompt_cache_min_tokens: self.prompt_cache_min_tokens,
            flags: if self.defer_prefill { sys::PONDER_SESSION_DEFER_PREFILL } else { 0 },
            context_length: self.context_length,
            n_threads: self.threads,
            prefill_chunk: self.prefill_chunk,
            compute: match self.compute {
                Compute::Exact => sys::PONDER_COMPUTE_EXACT,
                Compute::Fast => sys::PONDER_COMPUTE_FAST,
            },
            kv_type: match self.kv_type {
                None => sys::PONDER_KV_DEFAULT,
                Some(KvType::F32) => sys::PONDER_KV_F32,
                Some(KvType::F16) => sys::PONDER_KV_F16,
                Some(KvType::Bf16) => sys::PONDER_KV_BF16,
                Some(KvType::Q8_0) => sys::PONDER_KV_Q8_0,
                Some(KvType::Fp8) => sys::PONDER_KV_FP8,
            },
            ..Default::default()
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Answer,
    Thinking,
}

impl Channel {
    pub(crate) fn of(raw: sys::ponder_channel) -> Channel {
        if raw == sys::PONDER_CHANNEL_THINKING {
            Channel::Thinking
        } else {
            Channel::Answer
        }
    }
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// It goes on.
    None,
    Stop,
    Length,
    Loop,
    Cancelled,
    Error,
    Other(i32),
}

impl Finish {
    pub(crate) fn of(raw: sys::ponder_finish) -> Finish {
        match raw {
            sys::PONDER_FINISH_NONE => Finish::None,
            sys::PONDER_FINISH_STOP => Finish::Stop,
            sys::PONDER_FINISH_LENGTH => Finish::Length,
            sys::PONDER_FINISH_LOOP => Finish::Loop,
            sys::PONDER_FINISH_CANCELLED => Finish::Cancelled,
            sys::PONDER_FINISH_ERROR => Finish::Error,
            other => Finish::Other(other),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logprob {
    pub id: i32,
    pub logprob: f32,
}

/// One token of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: i32,
    /// Whole characters, possibly none; `<think>` and `</think>` have none.
    pub text: String,
    pub channel: Channel,
    /// Not sampled: think_budget.
    pub forced: bool,
    pub logprob: f32,
    pub top_logprobs: Vec<Logprob>,
}

impl Event {
    /// # Safety
    /// raw was filled by the library and no call on its session came since.
    pub(crate) unsafe fn of(raw: &sys::ponder_token_event) -> Event {
        let top = slice(raw.top_logprobs, raw.n_top_logprobs);
        Event {
            id: raw.id,
            text: String::from_utf8_lossy(slice(raw.text as *const u8, raw.text_len)).into_owned(),
            channel: Channel::of(raw.channel),
            forced: raw.forced != 0,
            logprob: raw.logprob,
            top_logprobs: top.iter().map(|one| Logprob { id: one.id, logprob: one.logprob }).collect(),
        }
    }
}

/// What a time-sliced step gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<T> {
    Ready(T),
    /// The budget is used up: call again.
    Pending,
    End,
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub thinking: String,
    pub answer: String,
    pub finish: Finish,
    pub tokens: Vec<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    #[default]
    Mean,
    Last,
}

/// How to sample and when to stop. Zero in every field: greedy until the model ends its reply. ponder.h says what each is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateParams {
    pub max_new_tokens: i64,
    pub think_budget: i64,
    pub context_keep: i64,
    pub seed: u64,
    pub temperature: f32,
    pub top_k: i32,
    pub top_p: f32,
    pub min_p: f32,
    pub typical_p: f32,
    pub top_n_sigma: f32,
    pub xtc_probability: f32,
    pub xtc_threshold: f32,
    pub mirostat: i32,
    pub mirostat_tau: f32,
    pub mirostat_eta: f32,
    pub repetition_penalty: f32,
    pub presence_penalty: f32,
    pub frequency_penalty: f32,
    pub penalty_last_n: i32,
    pub dry_multiplier: f32,
    pub dry_base: f32,
    pub dry_allowed_length: i32,
    pub dry_last_n: i32,
    pub n_top_logprobs: i32,
    pub ignore_eos: bool,
    pub context_shift: bool,
    pub logit_bias: Vec<(i32, f32)>,
    pub stop: Vec<String>,
    pub stop_ids: Vec<i32>,
}

/// The fields that have the same name and type in both.
macro_rules! copied {
    ($from:ident, $make:path $(, $rest:tt)*) => {
        copied!(@ $from, $make, [max_new_tokens think_budget context_keep seed temperature top_k top_p min_p typical_p
            top_n_sigma xtc_probability xtc_threshold mirostat mirostat_tau mirostat_eta repetition_penalty
            presence_penalty frequency_penalty penalty_last_n dry_multiplier dry_base dry_allowed_length dry_last_n
            n_top_logprobs])
    };
    (@ $from:ident, $make:path, [$($field:ident)*]) => {
        { type T = $make; T { $($field: $from.$field,)* ..Default::default() } }
    };
}

impl GenerateParams {
    /// The published settings of R1.
    pub fn r1() -> GenerateParams {
        GenerateParams { temperature: 0.6, top_p: 0.95, ..Default::default() }
    }

    /// Calls f with the struct, whose arrays live as long.
    pub(crate) fn with_raw<R>(&self, f: impl FnOnce(&mut sys::ponder_generate_params) -> R) -> R {
        let bias: Vec<_> = self.logit_bias.iter().map(|&(id, bias)| sys::ponder_logit_bias { id, bias }).collect();
        let stop: Vec<_> =
            self.stop.iter().map(|text| sys::ponder_text { data: text_ptr(text), size: text.len() }).collect();
        let mut raw = copied!(self, sys::ponder_generate_params);
        raw.flags = (if self.ignore_eos { sys::PONDER_GENERATE_IGNORE_EOS } else { 0 })
            | (if self.context_shift { sys::PONDER_GENERATE_CONTEXT_SHIFT } else { 0 });
        raw.logit_bias = bias.as_ptr();
        raw.n_logit_bias = bias.len();
        raw.stop = stop.as_ptr();
        raw.n_stop = stop.len();
        raw.stop_ids = self.stop_ids.as_ptr();
        raw.n_stop_ids = self.stop_ids.len();
        f(&mut raw)
    }

    /// # Safety
    /// raw was filled by the library and what it points to is there.
    pub(crate) unsafe fn of(raw: &sys::ponder_generate_params) -> GenerateParams {
        let mut params = copied!(raw, GenerateParams);
        params.ignore_eos = raw.flags & sys::PONDER_GENERATE_IGNORE_EOS != 0;
        params.context_shift = raw.flags & sys::PONDER_GENERATE_CONTEXT_SHIFT != 0;
        params.logit_bias = slice(raw.logit_bias, raw.n_logit_bias).iter().map(|one| (one.id, one.bias)).collect();
        params.stop = slice(raw.stop, raw.n_stop)
            .iter()
            .map(|text| String::from_utf8_lossy(slice(text.data as *const u8, text.size)).into_owned())
            .collect();
        params.stop_ids = slice(raw.stop_ids, raw.n_stop_ids).to_vec();
        params
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct SessionStats {
    pub context_length: i64,
    pub n_tokens: i64,
    pub prompt_tokens: i64,
    pub reused_tokens: i64,
    pub thinking_tokens: i64,
    pub answer_tokens: i64,
    pub forced_tokens: i64,
    pub kv_bytes: i64,
    pub scratch_bytes: i64,
    pub prefill_ms: f64,
    pub decode_ms: f64,
}
