//! ponder.h for Rust, by hand: every constant, struct and function under the header's names; the header is the manual.
//! examples/bindings/check_coverage.py compares the two.
#![no_std]
#![allow(non_camel_case_types)]

use core::ffi::c_void;
use core::marker::{PhantomData, PhantomPinned};

/// `char` of C, on the platforms that ponder runs on.
#[cfg(all(target_arch = "aarch64", not(target_vendor = "apple"), not(windows)))]
pub type c_char = u8;
#[cfg(not(all(target_arch = "aarch64", not(target_vendor = "apple"), not(windows))))]
pub type c_char = i8;

pub type ponder_status = i32;
pub type ponder_log_level = i32;
pub type ponder_compute = i32;
pub type ponder_kv_type = i32;
pub type ponder_channel = i32;
pub type ponder_finish = i32;
pub type ponder_effort = i32;
pub type ponder_early_exit = i32;
pub type ponder_think_end = i32;
pub type ponder_answer_place = i32;
pub type ponder_pooling = i32;
pub type ponder_grammar = i32;
pub type ponder_dtype = i32;

pub const PONDER_OK: ponder_status = 0;
pub const PONDER_END: ponder_status = 1;
pub const PONDER_PENDING: ponder_status = 2;
pub const PONDER_E_INVALID_ARGUMENT: ponder_status = -1;
pub const PONDER_E_OUT_OF_MEMORY: ponder_status = -2;
pub const PONDER_E_IO: ponder_status = -3;
pub const PONDER_E_NOT_FOUND: ponder_status = -4;
pub const PONDER_E_BAD_FILE: ponder_status = -5;
pub const PONDER_E_UNSUPPORTED: ponder_status = -6;
pub const PONDER_E_STATE: ponder_status = -7;
pub const PONDER_E_CONTEXT_FULL: ponder_status = -8;
pub const PONDER_E_CANCELLED: ponder_status = -9;
pub const PONDER_E_NO_TOKENIZER: ponder_status = -10;
pub const PONDER_E_TEMPLATE: ponder_status = -11;
pub const PONDER_E_NUMERIC: ponder_status = -12;
pub const PONDER_E_BUFFER_TOO_SMALL: ponder_status = -13;
pub const PONDER_E_CALLBACK: ponder_status = -14;
pub const PONDER_E_DEVICE: ponder_status = -15;
pub const PONDER_E_INTERNAL: ponder_status = -100;
pub const PONDER_LOG_DEFAULT: ponder_log_level = 0;
pub const PONDER_LOG_DEBUG: ponder_log_level = 1;
pub const PONDER_LOG_INFO: ponder_log_level = 2;
pub const PONDER_LOG_WARNING: ponder_log_level = 3;
pub const PONDER_LOG_ERROR: ponder_log_level = 4;
pub const PONDER_COMPUTE_DEFAULT: ponder_compute = 0;
pub const PONDER_COMPUTE_EXACT: ponder_compute = 1;
pub const PONDER_COMPUTE_FAST: ponder_compute = 2;
pub const PONDER_KV_DEFAULT: ponder_kv_type = 0;
pub const PONDER_KV_F32: ponder_kv_type = 1;
pub const PONDER_KV_F16: ponder_kv_type = 2;
pub const PONDER_KV_BF16: ponder_kv_type = 3;
pub const PONDER_KV_Q8_0: ponder_kv_type = 4;
pub const PONDER_KV_FP8: ponder_kv_type = 5;
pub const PONDER_SESSION_DEFER_PREFILL: u32 = 1;
pub const PONDER_MODEL_NO_MTP: u32 = 1;
pub const PONDER_ENCODE_SPECIAL: u32 = 1;
pub const PONDER_ENCODE_BOS: u32 = 2;
pub const PONDER_DECODE_SKIP_SPECIAL: u32 = 1;
pub const PONDER_TOKEN_ADDED: u32 = 1;
pub const PONDER_TOKEN_SPECIAL: u32 = 2;
pub const PONDER_CHAT_NO_GENERATION_PROMPT: u32 = 1;
pub const PONDER_CHAT_TRUST_CONTENT: u32 = 2;
pub const PONDER_GENERATE_IGNORE_EOS: u32 = 1;
pub const PONDER_GENERATE_CONTEXT_SHIFT: u32 = 2;
pub const PONDER_THINK_NONE: i64 = -2;
pub const PONDER_CHANNEL_ANSWER: ponder_channel = 0;
pub const PONDER_CHANNEL_THINKING: ponder_channel = 1;
pub const PONDER_FINISH_NONE: ponder_finish = 0;
pub const PONDER_FINISH_STOP: ponder_finish = 1;
pub const PONDER_FINISH_LENGTH: ponder_finish = 2;
pub const PONDER_FINISH_LOOP: ponder_finish = 3;
pub const PONDER_FINISH_CANCELLED: ponder_finish = 4;
pub const PONDER_FINISH_ERROR: ponder_finish = 5;
pub const PONDER_EFFORT_DEFAULT: ponder_effort = 0;
pub const PONDER_EFFORT_NONE: ponder_effort = 1;
pub const PONDER_EFFORT_LOW: ponder_effort = 2;
pub const PONDER_EFFORT_MEDIUM: ponder_effort = 3;
pub const PONDER_EFFORT_HIGH: ponder_effort = 4;
pub const PONDER_EARLY_EXIT_DEFAULT: ponder_early_exit = 0;
pub const PONDER_EARLY_EXIT_OFF: ponder_early_exit = 1;
pub const PONDER_EARLY_EXIT_PROBE: ponder_early_exit = 2;
pub const PONDER_EARLY_EXIT_CONFIDENCE: ponder_early_exit = 3;
pub const PONDER_REASONING_NO_LOOP_DETECTION: u32 = 1;
pub const PONDER_THINK_END_NONE: ponder_think_end = 0;
pub const PONDER_THINK_END_MODEL: ponder_think_end = 1;
pub const PONDER_THINK_END_BUDGET: ponder_think_end = 2;
pub const PONDER_THINK_END_GRACE_CUT: ponder_think_end = 3;
pub const PONDER_THINK_END_EARLY_EXIT: ponder_think_end = 4;
pub const PONDER_THINK_END_LOOP: ponder_think_end = 5;
pub const PONDER_THINK_END_USER: ponder_think_end = 6;
pub const PONDER_ANSWER_BOXED: ponder_answer_place = 0;
pub const PONDER_ANSWER_BOXED_OR_NUMBER: ponder_answer_place = 1;
pub const PONDER_ANSWER_TAG: ponder_answer_place = 2;
pub const PONDER_SAMPLES_WEIGHTED: u32 = 1;
pub const PONDER_SAMPLES_ALL: u32 = 2;
pub const PONDER_GRAMMAR_NONE: ponder_grammar = 0;
pub const PONDER_GRAMMAR_GBNF: ponder_grammar = 1;
pub const PONDER_GRAMMAR_REGEX: ponder_grammar = 2;
pub const PONDER_GRAMMAR_JSON_SCHEMA: ponder_grammar = 3;
pub const PONDER_POOLING_DEFAULT: ponder_pooling = 0;
pub const PONDER_POOLING_MEAN: ponder_pooling = 1;
pub const PONDER_POOLING_LAST: ponder_pooling = 2;
pub const PONDER_EMBED_NORMALIZE: u32 = 1;
pub const PONDER_EMBED_SPECIAL: u32 = 2;
pub const PONDER_EVALUATE_LAST: u32 = 1;
pub const PONDER_EVALUATE_HIDDEN: u32 = 2;
pub const PONDER_EVALUATE_MOE: u32 = 4;
pub const PONDER_DTYPE_F32: ponder_dtype = 0;
pub const PONDER_DTYPE_I32: ponder_dtype = 1;

macro_rules! handles {
    ($($name:ident)*) => {$(
        /// Opaque.
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
            _not_send_sync_unpin: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}
handles! {
    ponder_buffer ponder_runtime ponder_model ponder_tokenizer ponder_template ponder_session ponder_batch
    ponder_adapter
}

pub type ponder_log_fn = unsafe extern "C" fn(user_data: *mut c_void, level: ponder_log_level, message: *const c_char, message_len: usize);
pub type ponder_task_fn = unsafe extern "C" fn(task_data: *mut c_void, index: usize);
pub type ponder_executor_fn = unsafe extern "C" fn(user_data: *mut c_void, n_tasks: usize, task: ponder_task_fn, task_data: *mut c_void);
pub type ponder_thread_fn = unsafe extern "C" fn(user_data: *mut c_void, index: i32);
pub type ponder_allocate_fn = unsafe extern "C" fn(user_data: *mut c_void, size: usize, alignment: usize) -> *mut c_void;
pub type ponder_deallocate_fn = unsafe extern "C" fn(user_data: *mut c_void, memory: *mut c_void, size: usize, alignment: usize);
pub type ponder_file_open_fn = unsafe extern "C" fn(
    user_data: *mut c_void,
    name: *const c_char,
    out_file: *mut *mut c_void,
    out_size: *mut u64,
) -> ponder_status;
pub type ponder_file_read_fn = unsafe extern "C" fn(
    user_data: *mut c_void,
    file: *mut c_void,
    offset: u64,
    out_bytes: *mut c_void,
    size: usize,
) -> ponder_status;
pub type ponder_file_close_fn = unsafe extern "C" fn(user_data: *mut c_void, file: *mut c_void);
pub type ponder_file_map_fn = unsafe extern "C" fn(user_data: *mut c_void, file: *mut c_void) -> *const c_void;
pub type ponder_progress_fn = unsafe extern "C" fn(user_data: *mut c_void, fraction: f32) -> i32;
pub type ponder_quantize_fn = unsafe extern "C" fn(user_data: *mut c_void, done_bytes: u64, total_bytes: u64, tensor: *const c_char) -> i32;
pub type ponder_imatrix_fn = unsafe extern "C" fn(user_data: *mut c_void, done_chunks: u64, n_chunks: u64) -> i32;
pub type ponder_sampler_fn = unsafe extern "C" fn(user_data: *mut c_void, logits: *mut f32, vocab_size: usize, out_id: *mut i32) -> i32;
pub type ponder_prefill_fn = unsafe extern "C" fn(user_data: *mut c_void, n_done: usize, n_total: usize) -> i32;
pub type ponder_token_fn = unsafe extern "C" fn(user_data: *mut c_void, event: *const ponder_token_event) -> i32;
pub type ponder_verifier_fn = unsafe extern "C" fn(user_data: *mut c_void, sample: *const ponder_sample, out_score: *mut f64) -> i32;
pub type ponder_tensor_fn = unsafe extern "C" fn(user_data: *mut c_void, name: *const c_char, dtype: ponder_dtype, data: *const c_void, shape: *const i64, n_dims: i32) -> i32;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_error {
    pub code: ponder_status,
    pub message: [c_char; 508],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_runtime_params {
    pub struct_size: u32,
    pub n_threads: i32,
    pub max_isa: *const c_char,
    pub log: Option<ponder_log_fn>,
    pub log_user_data: *mut c_void,
    pub log_level: ponder_log_level,
    pub flags: u32,
    pub on_thread_start: Option<ponder_thread_fn>,
    pub thread_user_data: *mut c_void,
    pub executor: Option<ponder_executor_fn>,
    pub executor_user_data: *mut c_void,
    pub memory_limit: i64,
    pub allocate: Option<ponder_allocate_fn>,
    pub deallocate: Option<ponder_deallocate_fn>,
    pub allocator_user_data: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_memory_info {
    pub struct_size: u32,
    pub flags: u32,
    pub limit_bytes: i64,
    pub used_bytes: i64,
    pub peak_bytes: i64,
    pub weight_bytes: i64,
    pub kv_bytes: i64,
    pub scratch_bytes: i64,
    pub other_bytes: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_file_system {
    pub struct_size: u32,
    pub flags: u32,
    pub user_data: *mut c_void,
    pub open: Option<ponder_file_open_fn>,
    pub read: Option<ponder_file_read_fn>,
    pub close: Option<ponder_file_close_fn>,
    pub map: Option<ponder_file_map_fn>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_session_params {
    pub struct_size: u32,
    pub flags: u32,
    pub context_length: i64,
    pub n_threads: i32,
    pub prefill_chunk: i32,
    pub compute: ponder_compute,
    pub kv_type: ponder_kv_type,
    pub prompt_cache: *const c_char,
    pub prompt_cache_bytes: i64,
    pub prompt_cache_min_tokens: i32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_model_params {
    pub struct_size: u32,
    pub flags: u32,
    pub progress: Option<ponder_progress_fn>,
    pub progress_user_data: *mut c_void,
    pub weight_type: *const c_char,
    pub files: *const ponder_file_system,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_memory_file {
    pub name: *const c_char,
    pub data: *const c_void,
    pub size: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_model_info {
    pub struct_size: u32,
    pub vocab_size: i32,
    pub hidden_size: i32,
    pub num_hidden_layers: i32,
    pub max_position_embeddings: i32,
    pub has_tokenizer: i32,
    pub has_chat_template: i32,
    pub has_mtp: i32,
    pub bos_token_id: i32,
    pub n_eos_token_ids: i32,
    pub n_parameters: i64,
    pub n_active_parameters: i64,
    pub weight_bytes: i64,
    pub kv_bytes_per_token: i64,
    pub fingerprint: u64,
    pub active_weight_bytes: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_memory_plan {
    pub struct_size: u32,
    pub flags: u32,
    pub context_length: i64,
    pub weight_bytes: i64,
    pub kv_bytes: i64,
    pub scratch_bytes: i64,
    pub total_bytes: i64,
    pub other_bytes: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_quantize_params {
    pub struct_size: u32,
    pub flags: u32,
    pub type_: *const c_char,
    pub imatrix_path: *const c_char,
    pub progress: Option<ponder_quantize_fn>,
    pub progress_user_data: *mut c_void,
    pub files: *const ponder_file_system,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_imatrix_params {
    pub struct_size: u32,
    pub flags: u32,
    pub chunk_tokens: i32,
    pub max_chunks: i32,
    pub progress: Option<ponder_imatrix_fn>,
    pub progress_user_data: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_tokenizer_info {
    pub struct_size: u32,
    pub n_ids: i32,
    pub bos_token_id: i32,
    pub eos_token_id: i32,
    pub think_start_id: i32,
    pub think_end_id: i32,
    pub adds_bos: i32,
    pub has_chat_template: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_logit_bias {
    pub id: i32,
    pub bias: f32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_text {
    pub data: *const c_char,
    pub size: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_logprob {
    pub id: i32,
    pub logprob: f32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_generate_params {
    pub struct_size: u32,
    pub flags: u32,
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
    pub logit_bias: *const ponder_logit_bias,
    pub n_logit_bias: usize,
    pub stop: *const ponder_text,
    pub n_stop: usize,
    pub stop_ids: *const i32,
    pub n_stop_ids: usize,
    pub sampler: Option<ponder_sampler_fn>,
    pub sampler_user_data: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_token_event {
    pub struct_size: u32,
    pub id: i32,
    pub channel: ponder_channel,
    pub forced: i32,
    pub text: *const c_char,
    pub text_len: usize,
    pub top_logprobs: *const ponder_logprob,
    pub n_top_logprobs: usize,
    pub logprob: f32,
    pub flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_session_stats {
    pub struct_size: u32,
    pub flags: u32,
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
    pub think_end: ponder_think_end,
    pub n_waits: i32,
    pub probe_tokens: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_reasoning_params {
    pub struct_size: u32,
    pub flags: u32,
    pub effort: ponder_effort,
    pub grace: i32,
    pub turn_budget: i64,
    pub block_budget: i64,
    pub answer_reserve: i64,
    pub min_tokens: i64,
    pub max_waits: i64,
    pub wait_text: *const c_char,
    pub message: *const c_char,
    pub early_exit: ponder_early_exit,
    pub confidence: f32,
    pub probe_every: i32,
    pub probe_agree: i32,
    pub probe_tokens: i32,
    pub probe_max: i32,
    pub probe_text: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_samples_params {
    pub struct_size: u32,
    pub flags: u32,
    pub n: i32,
    pub n_parallel: i32,
    pub place: ponder_answer_place,
    pub reserved: u32,
    pub threshold: f64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_sample {
    pub index: i64,
    pub thinking: ponder_text,
    pub answer: ponder_text,
    pub extracted: ponder_text,
    pub ids: *const i32,
    pub n_ids: usize,
    pub mean_logprob: f64,
    pub finish: ponder_finish,
    pub think_end: ponder_think_end,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_adapter_info {
    pub struct_size: u32,
    pub max_rank: i32,
    pub n_weights: i64,
    pub n_parameters: i64,
    pub fingerprint: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_adapter_use {
    pub adapter: *mut ponder_adapter,
    pub scale: f32,
    pub flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_batch_params {
    pub struct_size: u32,
    pub flags: u32,
    pub token_budget: i32,
    pub n_threads: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ponder_batch_event {
    pub struct_size: u32,
    pub status: ponder_status,
    pub session: *mut ponder_session,
    pub token: *const ponder_token_event,
    pub message: *const c_char,
}

macro_rules! sized {
    ($($name:ident)*) => {$(
        impl Default for $name {
            /// All zero, which means the default, and struct_size set.
            fn default() -> Self {
                // SAFETY: numbers, raw pointers and optional functions; all zero is a value of each.
                let mut value: Self = unsafe { core::mem::zeroed() };
                value.struct_size = core::mem::size_of::<Self>() as u32;
                value
            }
        }
    )*};
}
sized! {
    ponder_file_system
    ponder_runtime_params ponder_memory_info ponder_session_params ponder_model_params ponder_model_info
    ponder_memory_plan ponder_quantize_params ponder_imatrix_params ponder_tokenizer_info ponder_generate_params
    ponder_token_event ponder_session_stats ponder_reasoning_params ponder_samples_params ponder_batch_params ponder_batch_event
    ponder_adapter_info
}

#[link(name = "ponder")]
extern "C" {
    pub fn ponder_status_name(status: ponder_status) -> *const c_char;
    pub fn ponder_version() -> *const c_char;
    pub fn ponder_abi_version() -> u32;
    pub fn ponder_buffer_data(buffer: *const ponder_buffer) -> *const c_void;
    pub fn ponder_buffer_size(buffer: *const ponder_buffer) -> usize;
    pub fn ponder_buffer_free(buffer: *mut ponder_buffer);
    pub fn ponder_runtime_create(
        params: *const ponder_runtime_params,
        out_runtime: *mut *mut ponder_runtime,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_runtime_free(runtime: *mut ponder_runtime);
    pub fn ponder_runtime_isa(runtime: *const ponder_runtime) -> *const c_char;
    pub fn ponder_runtime_threads(runtime: *const ponder_runtime) -> i32;
    pub fn ponder_runtime_memory(
        runtime: *const ponder_runtime,
        out_info: *mut ponder_memory_info,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_selftest(
        runtime: *const ponder_runtime,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_inspect_files(
        files: *const ponder_file_system,
        path: *const c_char,
        params: *const ponder_session_params,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_tokenizer_load_files(
        files: *const ponder_file_system,
        path: *const c_char,
        out_tokenizer: *mut *mut ponder_tokenizer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_template_load_files(
        files: *const ponder_file_system,
        path: *const c_char,
        out_template: *mut *mut ponder_template,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_load(
        runtime: *mut ponder_runtime,
        path: *const c_char,
        params: *const ponder_model_params,
        out_model: *mut *mut ponder_model,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_load_memory(
        runtime: *mut ponder_runtime,
        files: *const ponder_memory_file,
        n_files: usize,
        params: *const ponder_model_params,
        out_model: *mut *mut ponder_model,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_random(
        runtime: *mut ponder_runtime,
        config_json: *const c_char,
        config_json_len: usize,
        dtype: *const c_char,
        n_layers: i32,
        seed: u64,
        out_model: *mut *mut ponder_model,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_free(model: *mut ponder_model);
    pub fn ponder_model_get_info(
        model: *const ponder_model,
        out_info: *mut ponder_model_info,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_eos_ids(
        model: *const ponder_model,
        out_ids: *mut i32,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_plan(
        model: *const ponder_model,
        params: *const ponder_session_params,
        out_plan: *mut ponder_memory_plan,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_inspect(
        path: *const c_char,
        params: *const ponder_session_params,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_inspect_memory(
        files: *const ponder_memory_file,
        n_files: usize,
        params: *const ponder_session_params,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_resolve(
        name: *const c_char,
        out_path: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_list(
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_load_report(
        model: *const ponder_model,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_quantize(
        runtime: *mut ponder_runtime,
        path: *const c_char,
        output_path: *const c_char,
        params: *const ponder_quantize_params,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_imatrix(
        runtime: *mut ponder_runtime,
        model: *const ponder_model,
        text: *const c_char,
        text_len: usize,
        output_path: *const c_char,
        params: *const ponder_imatrix_params,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_tokenizer_load(
        path: *const c_char,
        out_tokenizer: *mut *mut ponder_tokenizer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_tokenizer(
        model: *const ponder_model,
        out_tokenizer: *mut *mut ponder_tokenizer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_tokenizer_free(tokenizer: *mut ponder_tokenizer);
    pub fn ponder_tokenizer_get_info(
        tokenizer: *const ponder_tokenizer,
        out_info: *mut ponder_tokenizer_info,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_tokenizer_encode(
        tokenizer: *const ponder_tokenizer,
        text: *const c_char,
        text_len: usize,
        flags: u32,
        out_ids: *mut i32,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_tokenizer_decode(
        tokenizer: *const ponder_tokenizer,
        ids: *const i32,
        n_ids: usize,
        flags: u32,
        out_text: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_tokenizer_find(
        tokenizer: *const ponder_tokenizer,
        text: *const c_char,
        text_len: usize,
        out_id: *mut i32,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_tokenizer_token(
        tokenizer: *const ponder_tokenizer,
        id: i32,
        out_bytes: *mut *const c_char,
        out_len: *mut usize,
        out_flags: *mut u32,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_template_load(
        path: *const c_char,
        out_template: *mut *mut ponder_template,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_template_builtin(
        name: *const c_char,
        out_template: *mut *mut ponder_template,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_template(
        model: *const ponder_model,
        out_template: *mut *mut ponder_template,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_template_free(chat_template: *mut ponder_template);
    pub fn ponder_template_render(
        chat_template: *const ponder_template,
        messages_json: *const c_char,
        messages_json_len: usize,
        kwargs_json: *const c_char,
        kwargs_json_len: usize,
        flags: u32,
        out_text: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_model_generate_params(
        model: *const ponder_model,
        out_params: *mut ponder_generate_params,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_create(
        runtime: *mut ponder_runtime,
        model: *mut ponder_model,
        params: *const ponder_session_params,
        out_session: *mut *mut ponder_session,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_free(session: *mut ponder_session);
    pub fn ponder_session_set_params(
        session: *mut ponder_session,
        params: *const ponder_generate_params,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_get_params(
        session: *mut ponder_session,
        out_params: *mut ponder_generate_params,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_prompt_chat(
        session: *mut ponder_session,
        messages_json: *const c_char,
        messages_json_len: usize,
        kwargs_json: *const c_char,
        kwargs_json_len: usize,
        flags: u32,
        progress: Option<ponder_prefill_fn>,
        user_data: *mut c_void,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_prompt(
        session: *mut ponder_session,
        user_text: *const c_char,
        user_text_len: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_prompt_text(
        session: *mut ponder_session,
        text: *const c_char,
        text_len: usize,
        flags: u32,
        progress: Option<ponder_prefill_fn>,
        user_data: *mut c_void,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_prompt_ids(
        session: *mut ponder_session,
        ids: *const i32,
        n_ids: usize,
        progress: Option<ponder_prefill_fn>,
        user_data: *mut c_void,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_append_ids(
        session: *mut ponder_session,
        ids: *const i32,
        n_ids: usize,
        progress: Option<ponder_prefill_fn>,
        user_data: *mut c_void,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_chat_ids(
        session: *const ponder_session,
        messages_json: *const c_char,
        messages_json_len: usize,
        kwargs_json: *const c_char,
        kwargs_json_len: usize,
        flags: u32,
        out_ids: *mut i32,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_next(
        session: *mut ponder_session,
        out_event: *mut ponder_token_event,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_step(
        session: *mut ponder_session,
        budget_us: i64,
        out_event: *mut ponder_token_event,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_next_batch(
        sessions: *const *mut ponder_session,
        n_sessions: usize,
        events: *mut ponder_token_event,
        statuses: *mut ponder_status,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_generate(
        session: *mut ponder_session,
        on_token: Option<ponder_token_fn>,
        user_data: *mut c_void,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_set_grammar(
        session: *mut ponder_session,
        kind: ponder_grammar,
        text: *const c_char,
        text_len: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_cancel(session: *mut ponder_session);
    pub fn ponder_session_stop_thinking(session: *mut ponder_session);
    pub fn ponder_session_set_reasoning(
        session: *mut ponder_session,
        params: *const ponder_reasoning_params,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_vote(
        session: *mut ponder_session,
        params: *const ponder_samples_params,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_best_of(
        session: *mut ponder_session,
        params: *const ponder_samples_params,
        verifier: Option<ponder_verifier_fn>,
        user_data: *mut c_void,
        out_json: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_finish_reason(session: *const ponder_session) -> ponder_finish;
    pub fn ponder_session_next_channel(session: *const ponder_session) -> ponder_channel;
    pub fn ponder_session_fork(
        session: *const ponder_session,
        out_session: *mut *mut ponder_session,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_rewind(
        session: *mut ponder_session,
        n_tokens: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_save(
        session: *const ponder_session,
        out_state: *mut *mut ponder_buffer,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_save_file(
        session: *const ponder_session,
        path: *const c_char,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_restore(
        session: *mut ponder_session,
        state: *const c_void,
        state_size: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_restore_file(
        session: *mut ponder_session,
        path: *const c_char,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_tokens(
        session: *const ponder_session,
        out_ids: *mut i32,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_logits(
        session: *mut ponder_session,
        out_logits: *mut f32,
        count: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_top_logprobs(
        session: *mut ponder_session,
        out: *mut ponder_logprob,
        n: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_prompt_logprobs(
        session: *mut ponder_session,
        out_logprobs: *mut f32,
        count: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_get_stats(
        session: *const ponder_session,
        out_stats: *mut ponder_session_stats,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_adapter_load(
        runtime: *mut ponder_runtime,
        model: *mut ponder_model,
        path: *const c_char,
        out_adapter: *mut *mut ponder_adapter,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_adapter_load_memory(
        runtime: *mut ponder_runtime,
        model: *mut ponder_model,
        files: *const ponder_memory_file,
        n_files: usize,
        out_adapter: *mut *mut ponder_adapter,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_adapter_free(adapter: *mut ponder_adapter);
    pub fn ponder_adapter_get_info(
        adapter: *const ponder_adapter,
        out_info: *mut ponder_adapter_info,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_set_adapters(
        session: *mut ponder_session,
        adapters: *const ponder_adapter_use,
        n_adapters: usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_batch_create(
        runtime: *mut ponder_runtime,
        model: *mut ponder_model,
        params: *const ponder_batch_params,
        out_batch: *mut *mut ponder_batch,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_batch_free(batch: *mut ponder_batch);
    pub fn ponder_batch_add(
        batch: *mut ponder_batch,
        session: *mut ponder_session,
        priority: i32,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_batch_remove(
        batch: *mut ponder_batch,
        session: *mut ponder_session,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_batch_set_priority(
        batch: *mut ponder_batch,
        session: *mut ponder_session,
        priority: i32,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_batch_set_paused(
        batch: *mut ponder_batch,
        session: *mut ponder_session,
        paused: i32,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_batch_next(
        batch: *mut ponder_batch,
        out_events: *mut ponder_batch_event,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_batch_step(
        batch: *mut ponder_batch,
        budget_us: i64,
        out_events: *mut ponder_batch_event,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_embed_texts(
        session: *mut ponder_session,
        texts: *const ponder_text,
        n_texts: usize,
        pooling: ponder_pooling,
        flags: u32,
        out_vectors: *mut f32,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_embed_ids(
        session: *mut ponder_session,
        ids: *const i32,
        lengths: *const usize,
        n_inputs: usize,
        pooling: ponder_pooling,
        flags: u32,
        out_vectors: *mut f32,
        capacity: usize,
        out_count: *mut usize,
        err: *mut ponder_error,
    ) -> ponder_status;
    pub fn ponder_session_evaluate(
        session: *mut ponder_session,
        ids: *const i32,
        n_ids: usize,
        mtp_next_ids: *const i32,
        flags: u32,
        on_tensor: Option<ponder_tensor_fn>,
        user_data: *mut c_void,
        err: *mut ponder_error,
    ) -> ponder_status;
}
