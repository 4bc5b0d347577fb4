/*
 * ponder: the DeepSeek R1 system as an embeddable library. This header is the C ABI and its manual; it is the only
 * binary boundary (ponder.hpp is header-only C++ over it).
 *
 * Conventions
 *   Status   every call that can fail returns a ponder_status: 0 done, > 0 a normal end, < 0 an error. `err` may be
 *            NULL; else it receives the code and a message that names the thing, what was found and what was wanted.
 *   Handles  are opaque; *_free(NULL) is fine. Handles share ownership inside, so that they may be freed in any order.
 *   Structs  that may grow start with struct_size = sizeof(the struct); zero means default in every other field unless
 *            said otherwise. Use the *_default() functions. Fields are only ever appended.
 *   Text     is UTF-8 given as pointer and length; it may hold U+0000. Results of unknown size are ponder_buffer
 *            handles: read them with ponder_buffer_data/size, free them with ponder_buffer_free.
 *   Threads  different objects may be used by different threads at once. One session is used by one thread at a time,
 *            except ponder_session_cancel. Models, tokenizers and templates are immutable: any thread, any time.
 *   Host     the library never aborts, exits, prints, throws across this boundary, or touches signal handlers, locale
 *            or floating-point modes.
 */
#ifndef PONDER_H
#define PONDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ponder/export.h"
#include "ponder/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------------------------ */

typedef int32_t ponder_status;
#define PONDER_OK 0
#define PONDER_END 1                  /* the reply is complete */
#define PONDER_PENDING 2              /* a time-sliced step used up its budget: call again */
#define PONDER_E_INVALID_ARGUMENT -1
#define PONDER_E_OUT_OF_MEMORY -2
#define PONDER_E_IO -3
#define PONDER_E_NOT_FOUND -4
#define PONDER_E_BAD_FILE -5
#define PONDER_E_UNSUPPORTED -6
#define PONDER_E_STATE -7
#define PONDER_E_CONTEXT_FULL -8
#define PONDER_E_CANCELLED -9
#define PONDER_E_NO_TOKENIZER -10
#define PONDER_E_TEMPLATE -11
#define PONDER_E_NUMERIC -12
#define PONDER_E_BUFFER_TOO_SMALL -13
#define PONDER_E_CALLBACK -14
#define PONDER_E_DEVICE -15
#define PONDER_E_INTERNAL -100

/* Caller-owned; frozen at 512 bytes. message is NUL-terminated and cut at a character border. */
typedef struct ponder_error {
  ponder_status code;
  char message[508];
} ponder_error;

/** The status as a word, e.g. "context_full"; never NULL, static. Since 0.1 */
PONDER_API const char* PONDER_CALL ponder_status_name(ponder_status status);
/** PONDER_VERSION_STRING of the loaded library; static. Since 0.1 */
PONDER_API const char* PONDER_CALL ponder_version(void);
/** PONDER_ABI_VERSION of the loaded library. Since 0.1 */
PONDER_API uint32_t PONDER_CALL ponder_abi_version(void);

/* ---- Buffers ----------------------------------------------------------------------------------------------------- */

typedef struct ponder_buffer ponder_buffer;
/** First byte; text is followed by a NUL that size does not count. Never NULL for a buffer. Since 0.1 */
PONDER_API const void* PONDER_CALL ponder_buffer_data(const ponder_buffer* buffer);
/** Bytes. Since 0.1 */
PONDER_API size_t PONDER_CALL ponder_buffer_size(const ponder_buffer* buffer);
PONDER_API void PONDER_CALL ponder_buffer_free(ponder_buffer* buffer);

/* ---- Runtime: threads, instruction set, log ---------------------------------------------------------------------- */

typedef struct ponder_runtime ponder_runtime;

/* level: 0 debug, 1 info, 2 warning, 3 error. May run on any thread that works for the runtime; must not throw. */
typedef void(PONDER_CALL* ponder_log_fn)(void* user_data, int32_t level, const char* message, size_t message_len);

typedef struct ponder_runtime_params {
  uint32_t struct_size;
  int32_t n_threads;       /* compute threads, the calling one included; 0: one per available core */
  const char* max_isa;     /* "ref", "avx2", "avx512", "avx512bf16", "neon"; NULL: PONDER_MAX_ISA of the environment, else the best */
  ponder_log_fn log;       /* NULL: messages are dropped */
  void* log_user_data;
  int32_t log_level;       /* least level that is sent */
  int32_t reserved;
} ponder_runtime_params;

static inline ponder_runtime_params ponder_runtime_params_default(void) {
  ponder_runtime_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  p.log_level = 1;
  return p;
}

/**
 * Starts a runtime: a thread pool and the kernels for this CPU. params may be NULL. An unknown max_isa, or one that the
 * CPU lacks, is PONDER_E_INVALID_ARGUMENT. Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_runtime_create(const ponder_runtime_params* params,
                                                           ponder_runtime** out_runtime, ponder_error* err);
PONDER_API void PONDER_CALL ponder_runtime_free(ponder_runtime* runtime);
/** The instruction set in use, e.g. "avx2"; static. Since 0.1 */
PONDER_API const char* PONDER_CALL ponder_runtime_isa(const ponder_runtime* runtime);
/** Compute threads, the calling one included. Since 0.1 */
PONDER_API int32_t PONDER_CALL ponder_runtime_threads(const ponder_runtime* runtime);

/* ---- Model ------------------------------------------------------------------------------------------------------- */

typedef struct ponder_model ponder_model;

/* fraction in [0, 1]; return 0 to go on, anything else to cancel. Runs on the calling thread. */
typedef int32_t(PONDER_CALL* ponder_progress_fn)(void* user_data, float fraction);

#define PONDER_MODEL_NO_MTP 1u /* flags: leave the multi-token-prediction layer unloaded */

typedef struct ponder_model_params {
  uint32_t struct_size;
  uint32_t flags;
  ponder_progress_fn progress;
  void* progress_user_data;
} ponder_model_params;

static inline ponder_model_params ponder_model_params_default(void) {
  ponder_model_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/**
 * Loads a Hugging Face folder (config.json, safetensors shards, tokenizer files) in place: weights are mapped, not
 * copied. path is UTF-8, NUL-terminated. Every missing or wrong tensor is named in the message.
 * PONDER_E_NOT_FOUND, PONDER_E_BAD_FILE, PONDER_E_UNSUPPORTED, PONDER_E_CANCELLED (progress asked to stop). Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_model_load(ponder_runtime* runtime, const char* path,
                                                       const ponder_model_params* params, ponder_model** out_model,
                                                       ponder_error* err);

/* One file of a checkpoint in memory. `data` must outlive every model loaded from it. */
typedef struct ponder_memory_file {
  const char* name; /* "config.json", "model.safetensors", ... */
  const void* data;
  size_t size;
} ponder_memory_file;

/** As ponder_model_load, from files in memory. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_model_load_memory(ponder_runtime* runtime, const ponder_memory_file* files,
                                                              size_t n_files, const ponder_model_params* params,
                                                              ponder_model** out_model, ponder_error* err);
/**
 * A model with seeded random weights from an official config.json, for measuring real geometries without a download.
 * dtype: "f32", "f16", "bf16" or "fp8"; n_layers 0: as the config says. Since 0.1, experimental
 */
PONDER_API ponder_status PONDER_CALL ponder_model_random(ponder_runtime* runtime, const char* config_json,
                                                         size_t config_json_len, const char* dtype, int32_t n_layers,
                                                         uint64_t seed, ponder_model** out_model, ponder_error* err);
PONDER_API void PONDER_CALL ponder_model_free(ponder_model* model);

typedef struct ponder_model_info {
  uint32_t struct_size;
  int32_t vocab_size;
  int32_t hidden_size;
  int32_t num_hidden_layers;
  int32_t max_position_embeddings;
  int32_t has_tokenizer;        /* 0 or 1 */
  int32_t has_mtp;              /* 0 or 1 */
  int32_t bos_token_id;         /* -1: none */
  int64_t n_parameters;
  int64_t n_active_parameters;  /* per token */
  int64_t weight_bytes;
  int64_t kv_bytes_per_token;   /* with an f32 cache */
  uint64_t fingerprint;
} ponder_model_info;

/** Fills *out_info; set out_info->struct_size first. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_model_get_info(const ponder_model* model, ponder_model_info* out_info,
                                                           ponder_error* err);
/**
 * What a checkpoint is, as a JSON object, from config.json and the tensor headers: no weight is read. context_length
 * (0: the default of a session) is what the memory plan is made for. Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_inspect(const char* path, int64_t context_length, ponder_buffer** out_json,
                                                    ponder_error* err);
/** The warnings of the load (surplus tensors, ...) as a JSON array of strings. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_model_load_report(const ponder_model* model, ponder_buffer** out_json,
                                                              ponder_error* err);

/* ---- Tokenizer --------------------------------------------------------------------------------------------------- */

typedef struct ponder_tokenizer ponder_tokenizer;

/** path: a folder with tokenizer.json (tokenizer_config.json is optional), or a tokenizer.json file. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_load(const char* path, ponder_tokenizer** out_tokenizer,
                                                           ponder_error* err);
/** The model's tokenizer; PONDER_E_NO_TOKENIZER when the checkpoint has none. Free it too. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_model_tokenizer(const ponder_model* model, ponder_tokenizer** out_tokenizer,
                                                            ponder_error* err);
PONDER_API void PONDER_CALL ponder_tokenizer_free(ponder_tokenizer* tokenizer);

#define PONDER_ENCODE_SPECIAL 1u /* added tokens in the text become their ids */
#define PONDER_ENCODE_BOS 2u     /* put the beginning-of-sentence id in front */
#define PONDER_DECODE_SKIP_SPECIAL 1u

/**
 * Ids of a text. out_ids may be NULL with capacity 0 to ask for the count; *out_count is always the full count.
 * PONDER_E_BUFFER_TOO_SMALL (nothing written), PONDER_E_INVALID_ARGUMENT (invalid UTF-8). Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_encode(const ponder_tokenizer* tokenizer, const char* text,
                                                             size_t text_len, uint32_t flags, int32_t* out_ids,
                                                             size_t capacity, size_t* out_count, ponder_error* err);
/** UTF-8 text of ids; unfinished characters become U+FFFD. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_decode(const ponder_tokenizer* tokenizer, const int32_t* ids,
                                                             size_t n_ids, uint32_t flags, ponder_buffer** out_text,
                                                             ponder_error* err);
/** Largest id + 1. Since 0.1 */
PONDER_API int32_t PONDER_CALL ponder_tokenizer_n_ids(const ponder_tokenizer* tokenizer);

/* ---- Chat templates ---------------------------------------------------------------------------------------------- */

typedef struct ponder_template ponder_template;

/** The Jinja template of a folder's tokenizer_config.json (or chat_template.jinja). Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_template_load(const char* path, ponder_template** out_template,
                                                          ponder_error* err);
/** "deepseek-v3", "deepseek-r1" or "r1-distill". Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_template_builtin(const char* name, ponder_template** out_template,
                                                             ponder_error* err);
/** The template a model's sessions use; PONDER_E_TEMPLATE when it has none. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_model_template(const ponder_model* model, ponder_template** out_template,
                                                           ponder_error* err);
PONDER_API void PONDER_CALL ponder_template_free(ponder_template* chat_template);

#define PONDER_CHAT_NO_GENERATION_PROMPT 1u
#define PONDER_CHAT_TRUST_CONTENT 2u /* message content may hold special tokens, as with the official tokenizers */

/**
 * Renders messages to prompt text. messages_json: an OpenAI message array, or {messages, tools, add_generation_prompt}.
 * kwargs_json: an object of further template variables, or NULL. flags: PONDER_CHAT_NO_GENERATION_PROMPT. Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_template_render(const ponder_template* chat_template,
                                                            const char* messages_json, size_t messages_json_len,
                                                            const char* kwargs_json, size_t kwargs_json_len,
                                                            uint32_t flags, ponder_buffer** out_text,
                                                            ponder_error* err);

/* ---- Session ----------------------------------------------------------------------------------------------------- */

typedef struct ponder_session ponder_session;

typedef int32_t ponder_compute;
#define PONDER_COMPUTE_DEFAULT 0 /* fast */
#define PONDER_COMPUTE_EXACT 1   /* f32 activations and accumulation; same bits for any threads, chunks and batches */
#define PONDER_COMPUTE_FAST 2

typedef int32_t ponder_kv_type;
#define PONDER_KV_DEFAULT 0 /* f32 in exact compute, f16 in fast */
#define PONDER_KV_F32 1
#define PONDER_KV_F16 2
#define PONDER_KV_BF16 3

typedef struct ponder_session_params {
  uint32_t struct_size;
  int32_t n_threads;       /* 0: all of the runtime's */
  int64_t context_length;  /* tokens; 0: min(the model's maximum, 4096) */
  int32_t prefill_chunk;   /* tokens per forward pass; 0: 256 */
  ponder_compute compute;
  ponder_kv_type kv_type;
  int32_t reserved;
} ponder_session_params;

static inline ponder_session_params ponder_session_params_default(void) {
  ponder_session_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

typedef struct ponder_logit_bias {
  int32_t id;
  float bias; /* added to the logit; -INFINITY bans the token */
} ponder_logit_bias;

typedef struct ponder_text {
  const char* data;
  size_t size;
} ponder_text;

#define PONDER_GENERATE_IGNORE_EOS 1u

/* How to sample and when to stop. ponder_generate_params_default() is greedy decoding without limits. */
typedef struct ponder_generate_params {
  uint32_t struct_size;
  uint32_t flags;
  int64_t max_new_tokens;   /* 0: until the context is full */
  int64_t think_budget;     /* thinking tokens, then </think> is forced; -1: none */
  uint64_t seed;
  float temperature;        /* 0: greedy */
  int32_t top_k;            /* 0: off */
  float top_p;              /* 0 or 1: off */
  float min_p;
  float typical_p;          /* 0 or 1: off */
  float top_n_sigma;        /* 0: off */
  float xtc_probability;    /* 0: off */
  float xtc_threshold;
  int32_t mirostat;         /* 0 or 2 */
  float mirostat_tau;
  float mirostat_eta;
  float repetition_penalty; /* 1: off */
  float presence_penalty;
  float frequency_penalty;
  int32_t penalty_last_n;   /* tokens looked back at; -1: all */
  float dry_multiplier;     /* 0: off */
  float dry_base;
  int32_t dry_allowed_length;
  int32_t dry_last_n;       /* -1: all */
  int32_t reserved;
  const ponder_logit_bias* logit_bias;
  size_t n_logit_bias;
  const ponder_text* stop;  /* stop strings, in the answer; not part of the text */
  size_t n_stop;
  const int32_t* stop_ids;
  size_t n_stop_ids;
} ponder_generate_params;

static inline ponder_generate_params ponder_generate_params_default(void) {
  ponder_generate_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  p.think_budget = -1;
  p.xtc_threshold = 0.1f;
  p.mirostat_tau = 5.0f;
  p.mirostat_eta = 0.1f;
  p.repetition_penalty = 1.0f;
  p.penalty_last_n = 64;
  p.dry_base = 1.75f;
  p.dry_allowed_length = 2;
  p.dry_last_n = -1;
  return p;
}

/* The published settings of R1: temperature 0.6, top-p 0.95. */
static inline ponder_generate_params ponder_generate_params_r1(void) {
  ponder_generate_params p = ponder_generate_params_default();
  p.temperature = 0.6f;
  p.top_p = 0.95f;
  return p;
}

/** Memory for context_length tokens is reserved here; decoding allocates nothing. params may be NULL. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_create(ponder_runtime* runtime, ponder_model* model,
                                                           const ponder_session_params* params,
                                                           ponder_session** out_session, ponder_error* err);
PONDER_API void PONDER_CALL ponder_session_free(ponder_session* session);
/** Sampling and limits of the following calls. Pointers inside are copied. params NULL: greedy. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_set_params(ponder_session* session,
                                                               const ponder_generate_params* params, ponder_error* err);

/* tokens done and in all; return 0 to go on, anything else to cancel. Runs on the calling thread. */
typedef int32_t(PONDER_CALL* ponder_prefill_fn)(void* user_data, size_t n_done, size_t n_total);

/**
 * Sets the conversation from messages (as ponder_template_render) and runs its prefill; what is already in the cache is
 * reused. Message content can never become special tokens unless PONDER_CHAT_TRUST_CONTENT.
 * progress and kwargs_json may be NULL. PONDER_E_CONTEXT_FULL: the session is unchanged. Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_chat(ponder_session* session, const char* messages_json,
                                                                size_t messages_json_len, const char* kwargs_json,
                                                                size_t kwargs_json_len, uint32_t flags,
                                                                ponder_prefill_fn progress, void* user_data,
                                                                ponder_error* err);
/** One user message: the shortest way to a reply. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt(ponder_session* session, const char* user_text,
                                                           size_t user_text_len, ponder_error* err);
/** A raw prompt without a template. flags: PONDER_ENCODE_SPECIAL. BOS as the tokenizer's config says. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_text(ponder_session* session, const char* text,
                                                                size_t text_len, uint32_t flags,
                                                                ponder_prefill_fn progress, void* user_data,
                                                                ponder_error* err);
/** Token ids as they are; works without a tokenizer. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_ids(ponder_session* session, const int32_t* ids, size_t n_ids,
                                                               ponder_prefill_fn progress, void* user_data,
                                                               ponder_error* err);
/** Adds ids behind what is there. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_append_ids(ponder_session* session, const int32_t* ids, size_t n_ids,
                                                               ponder_prefill_fn progress, void* user_data,
                                                               ponder_error* err);

typedef int32_t ponder_channel;
#define PONDER_CHANNEL_ANSWER 0
#define PONDER_CHANNEL_THINKING 1

typedef int32_t ponder_finish;
#define PONDER_FINISH_NONE 0
#define PONDER_FINISH_STOP 1
#define PONDER_FINISH_LENGTH 2
#define PONDER_FINISH_LOOP 3
#define PONDER_FINISH_CANCELLED 4
#define PONDER_FINISH_ERROR 5

typedef struct ponder_token_event {
  uint32_t struct_size;
  int32_t id;              /* -1: text only, no token (what a stop string had held back) */
  ponder_channel channel;
  int32_t forced;          /* 1: not sampled */
  const char* text;        /* whole characters, possibly none; owned by the session, valid until the next call on it */
  size_t text_len;
  float logprob;           /* before temperature and penalties */
  int32_t reserved;
} ponder_token_event;

/**
 * Generates the next token of the reply: one decode step, one sample.
 *
 * session    prompted before.
 * out_event  set struct_size first.
 *
 * Returns  PONDER_OK, or PONDER_END when the reply is complete (end token, stop string, max_new_tokens), or
 *          PONDER_E_CONTEXT_FULL  all context_length tokens are used; the session is unchanged
 *          PONDER_E_CANCELLED     ponder_session_cancel was called; prompt again to go on
 *          PONDER_E_NUMERIC       the model produced NaN
 * Threads  one call per session at a time; sessions of one model may run in parallel. Blocks for one decode step.
 * Since    0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_session_next(ponder_session* session, ponder_token_event* out_event,
                                                         ponder_error* err);
/** Time-sliced: as ponder_session_next, or PONDER_PENDING after about budget_us microseconds. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_step(ponder_session* session, int64_t budget_us,
                                                         ponder_token_event* out_event, ponder_error* err);
/**
 * One decode step of several sessions of one model in one forward pass. statuses[i] is what ponder_session_next would
 * have returned for sessions[i]. Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_session_next_batch(ponder_session* const* sessions, size_t n_sessions,
                                                               ponder_token_event* events, ponder_status* statuses,
                                                               ponder_error* err);

/* Return 0 to go on, anything else to stop. Runs on the calling thread; may call only ponder_session_cancel. */
typedef int32_t(PONDER_CALL* ponder_token_fn)(void* user_data, const ponder_token_event* event);
/** A loop over ponder_session_next until the end. PONDER_OK at the end, PONDER_E_CANCELLED when stopped. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_generate(ponder_session* session, ponder_token_fn on_token,
                                                             void* user_data, ponder_error* err);
/** From any thread: the running call returns PONDER_E_CANCELLED within one layer's time. Since 0.1 */
PONDER_API void PONDER_CALL ponder_session_cancel(ponder_session* session);
/** Why the last reply ended. Since 0.1 */
PONDER_API ponder_finish PONDER_CALL ponder_session_finish_reason(const ponder_session* session);

/** A second session with the same content; shares the memory of the common prefix. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_fork(const ponder_session* session, ponder_session** out_session,
                                                         ponder_error* err);
/** Keeps the first n_tokens tokens and forgets the rest. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_rewind(ponder_session* session, size_t n_tokens, ponder_error* err);
/** The whole state, restorable into a session of the same model, also in the middle of thinking. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_save(const ponder_session* session, ponder_buffer** out_state,
                                                         ponder_error* err);
/** Checks everything before it changes anything. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_restore(ponder_session* session, const void* state,
                                                            size_t state_size, ponder_error* err);

/** All token ids of the session, prompt and reply; *out_count is always the full count. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_tokens(const ponder_session* session, int32_t* out_ids,
                                                           size_t capacity, size_t* out_count, ponder_error* err);
/**
 * Copies the logits of the last position, before temperature and penalties: [vocab_size] f32, index = token id.
 * PONDER_E_BUFFER_TOO_SMALL (nothing written), PONDER_E_STATE (not prompted). Since 0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_session_logits(ponder_session* session, float* out_logits, size_t count,
                                                           ponder_error* err);

typedef struct ponder_logprob {
  int32_t id;
  float logprob;
} ponder_logprob;
/** The n most likely next tokens, best first. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_top_logprobs(ponder_session* session, ponder_logprob* out, size_t n,
                                                                 ponder_error* err);
/** log p of each token of the session given those before it; out[0] is 0; count: at least the session's tokens. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_logprobs(ponder_session* session, float* out_logprobs,
                                                                    size_t count, ponder_error* err);

typedef struct ponder_session_stats {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t context_length;
  int64_t n_tokens;         /* in the session */
  int64_t prompt_tokens;    /* of the last prompt */
  int64_t reused_tokens;    /* of these, found in the cache */
  int64_t thinking_tokens;
  int64_t answer_tokens;
  int64_t forced_tokens;
  int64_t kv_bytes;         /* reserved */
  int64_t scratch_bytes;
  double prefill_ms;
  double decode_ms;
} ponder_session_stats;
/** Set out_stats->struct_size first. Since 0.1 */
PONDER_API ponder_status PONDER_CALL ponder_session_get_stats(const ponder_session* session,
                                                              ponder_session_stats* out_stats, ponder_error* err);

/* ---- Looking inside ---------------------------------------------------------------------------------------------- */

#define PONDER_EVALUATE_LAST 1u   /* logits of the last position only */
#define PONDER_EVALUATE_HIDDEN 2u /* "hidden.N", "hidden.final_norm" */
#define PONDER_EVALUATE_MOE 4u    /* "moe.N.ids", "moe.N.weights" */

typedef int32_t ponder_dtype;
#define PONDER_DTYPE_F32 0
#define PONDER_DTYPE_I32 1

/* A named tensor; data is valid during the call. Return 0 to go on, anything else to stop. */
typedef int32_t(PONDER_CALL* ponder_tensor_fn)(void* user_data, const char* name, ponder_dtype dtype, const void* data,
                                               const int64_t* shape, int32_t n_dims);
/**
 * One forward pass over ids in a fresh cache; hands each wanted tensor to on_tensor: "logits" [n, vocab_size] (or
 * [vocab_size] with PONDER_EVALUATE_LAST), and what flags ask for. mtp_next_ids (NULL or n_ids ids): also "mtp.logits".
 * The session's own content stays as it is. Since 0.1, experimental
 */
PONDER_API ponder_status PONDER_CALL ponder_session_evaluate(ponder_session* session, const int32_t* ids, size_t n_ids,
                                                             const int32_t* mtp_next_ids, uint32_t flags,
                                                             ponder_tensor_fn on_tensor, void* user_data,
                                                             ponder_error* err);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* PONDER_H */
