/*
 * ponder: the DeepSeek R1 system as an embeddable library. This header is the C ABI and its manual; it is the only
 * binary boundary (ponder.hpp is header-only C++ over it).
 *
 * Conventions, for everything below unless it says otherwise
 *   Status   every call that can fail returns a ponder_status: 0 done, > 0 a normal end, < 0 an error. `err` may be
 *            NULL; else it receives the code and a message that names the thing, what was found and what was wanted.
 *            Any such call may also return PONDER_E_INVALID_ARGUMENT (a NULL, an unknown flag bit or enumeration value,
 *            a number out of range, invalid UTF-8), PONDER_E_OUT_OF_MEMORY and PONDER_E_INTERNAL (a bug of ours). A
 *            failed call changes nothing and sets its out_ handle to NULL.
 *   Handles  are opaque; *_free(NULL) is fine. Handles share ownership inside: free them in any order, also a runtime or
 *            model before its sessions. An out_ handle belongs to the caller, who frees it.
 *   Structs  that may grow start with struct_size = sizeof(the struct); in every other field zero means the default. Set
 *            it yourself or use the *_default() functions. Fields are only ever appended. A size of 0, above 4096 or not
 *            a multiple of the struct's alignment is refused; a newer, longer struct is PONDER_E_UNSUPPORTED unless its
 *            unknown tail is zero. Structs without struct_size are frozen.
 *   Text     is UTF-8 given as pointer and length; it may hold U+0000, and NULL is fine when the length is 0. Paths and
 *            names are NUL-terminated UTF-8. Pointers passed in are read during the call only.
 *   Lists    into the caller's array (out_..., capacity, out_count): *out_count is always the full count; when it is above
 *            capacity the call returns PONDER_E_BUFFER_TOO_SMALL and writes nothing. NULL with capacity 0 asks for the
 *            count and returns PONDER_OK.
 *   Threads  different objects may be used by different threads at once. Runtimes, models, tokenizers, templates and
 *            adapters are immutable: any thread, any time. A session is used by one thread at a time, except
 *            ponder_session_cancel and ponder_session_stop_thinking; a second call at the same time, also from within a
 *            callback, is PONDER_E_STATE.
 *   Calls    back into the host run on the calling thread, return 0 to go on and anything else to stop (the call then
 *   back     returns PONDER_E_CANCELLED), and may call no function on the session but those two. Only the log,
 *            thread, executor and allocator functions may run on other threads. None should throw: an exception that
 *            arrives here stops the call, which returns PONDER_E_CALLBACK; those of the log, thread and executor functions
 *            are dropped, and one of the allocator's means that there is no memory.
 *   Host     the library never aborts, exits, prints, throws across this boundary, or touches signal handlers, locale
 *            or floating-point modes. A child of fork() may use what was created before it, on one thread.
 *   Since    0.1 for everything. What is marked experimental may still change.
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

typedef int32_t ponder_status; /* callers expect values that are not listed here */
#define PONDER_OK 0
#define PONDER_END 1                  /* the reply is complete */
#define PONDER_PENDING 2              /* a time-sliced step used up its budget: call again */
#define PONDER_E_INVALID_ARGUMENT -1
#define PONDER_E_OUT_OF_MEMORY -2
#define PONDER_E_IO -3                /* the operating system refused to read or write */
#define PONDER_E_NOT_FOUND -4         /* a file, folder, token or name does not exist */
#define PONDER_E_BAD_FILE -5          /* a file's content breaks its format */
#define PONDER_E_UNSUPPORTED -6       /* valid, but not something this build or version can do */
#define PONDER_E_STATE -7             /* the call does not fit what the object has done so far */
#define PONDER_E_CONTEXT_FULL -8
#define PONDER_E_CANCELLED -9         /* by ponder_session_cancel or a callback */
#define PONDER_E_NO_TOKENIZER -10     /* the checkpoint has no tokenizer files; token ids still work */
#define PONDER_E_TEMPLATE -11         /* a chat template failed or ran into its limits */
#define PONDER_E_NUMERIC -12          /* NaN or infinity where a finite number was needed */
#define PONDER_E_BUFFER_TOO_SMALL -13
#define PONDER_E_CALLBACK -14         /* a function of the host threw an exception, or broke what is said about it */
#define PONDER_E_DEVICE -15           /* the processor does not compute what it should: ponder_selftest */
#define PONDER_E_INTERNAL -100

/* Caller-owned; frozen at 512 bytes. message is NUL-terminated UTF-8, cut at a character border; empty without error. */
typedef struct ponder_error {
  ponder_status code;
  char message[508];
} ponder_error;

/** The status as a word, e.g. "context_full", or "unknown"; static. */
PONDER_API const char* PONDER_CALL ponder_status_name(ponder_status status) PONDER_NOEXCEPT;
/** PONDER_VERSION_STRING of the loaded library; static. */
PONDER_API const char* PONDER_CALL ponder_version(void) PONDER_NOEXCEPT;
/** PONDER_ABI_VERSION of the loaded library. */
PONDER_API uint32_t PONDER_CALL ponder_abi_version(void) PONDER_NOEXCEPT;

/* ---- Buffers: results of unknown size ---------------------------------------------------------------------------- */

typedef struct ponder_buffer ponder_buffer;
/** First byte, followed by a NUL that size does not count; valid until the buffer is freed. NULL for NULL only. */
PONDER_API const void* PONDER_CALL ponder_buffer_data(const ponder_buffer* buffer) PONDER_NOEXCEPT;
/** Bytes; 0 for NULL. */
PONDER_API size_t PONDER_CALL ponder_buffer_size(const ponder_buffer* buffer) PONDER_NOEXCEPT;
PONDER_API void PONDER_CALL ponder_buffer_free(ponder_buffer* buffer) PONDER_NOEXCEPT;

/* ---- Runtime: threads, instruction set, log ---------------------------------------------------------------------- */

typedef struct ponder_runtime ponder_runtime;

typedef int32_t ponder_log_level;
#define PONDER_LOG_DEFAULT 0 /* info */
#define PONDER_LOG_DEBUG 1
#define PONDER_LOG_INFO 2
#define PONDER_LOG_WARNING 3
#define PONDER_LOG_ERROR 4

/* One message, without a newline; message is valid during the call. May run on any thread that works for the runtime. */
typedef void(PONDER_CALL* ponder_log_fn)(void* user_data, ponder_log_level level, const char* message,
                                         size_t message_len);

/*
 * The host's own threads instead of the runtime's. Runs task(task_data, i) once for every i in [0, n_tasks), on any
 * threads, also the calling one, and returns when all are done. n_tasks is at most n_threads of the runtime. Several
 * threads may call it at once; it is called several times in each layer, so waking a thread must be cheap.
 */
typedef void(PONDER_CALL* ponder_task_fn)(void* task_data, size_t index);
typedef void(PONDER_CALL* ponder_executor_fn)(void* user_data, size_t n_tasks, ponder_task_fn task, void* task_data);

/* Runs on each compute thread that the runtime starts, index from 1: to set its name, affinity or priority. */
typedef void(PONDER_CALL* ponder_thread_fn)(void* user_data, int32_t index);

/*
 * The host's allocator, for large memory: KV caches, scratch, weights that are converted or read. size is above 0, alignment
 * a power of two (64 today). allocate returns NULL when there is none left; deallocate gets what allocate was given. Any
 * thread, several at once.
 */
typedef void*(PONDER_CALL* ponder_allocate_fn)(void* user_data, size_t size, size_t alignment);
typedef void(PONDER_CALL* ponder_deallocate_fn)(void* user_data, void* memory, size_t size, size_t alignment);

typedef struct ponder_runtime_params {
  uint32_t struct_size;
  int32_t n_threads;          /* compute threads, the calling one included; 0: one per available core */
  const char* max_isa;        /* "ref", "avx2", "avx512", "avx512vnni", "avx512bf16" or "neon": no kernel above it is used.
                                 NULL: PONDER_MAX_ISA of the environment, else the best that the CPU has */
  ponder_log_fn log;          /* NULL: messages are dropped. Called as long as the runtime or anything made with it lives */
  void* log_user_data;
  ponder_log_level log_level; /* least level that is sent */
  uint32_t flags;             /* none yet */
  ponder_thread_fn on_thread_start; /* may be NULL */
  void* thread_user_data;
  ponder_executor_fn executor; /* NULL: threads of the runtime's own. Used as long as anything made with it lives */
  void* executor_user_data;
  int64_t memory_limit; /* bytes of all large memory (ponder_memory_info) of what is made with the runtime; 0: no limit.
                           Mapped weights count, too. A call that would need more is PONDER_E_OUT_OF_MEMORY and says the
                           numbers; ponder_model_plan says them before, ponder_runtime_memory what is in use */
  ponder_allocate_fn allocate; /* NULL: operator new. Both or neither; used as long as anything made with the runtime lives */
  ponder_deallocate_fn deallocate;
  void* allocator_user_data;
} ponder_runtime_params;

static inline ponder_runtime_params ponder_runtime_params_default(void) {
  ponder_runtime_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/**
 * Starts a runtime: a thread pool and the kernels for this CPU. Runtimes share nothing: two plug-ins in one process may
 * have one each.
 *
 * params  may be NULL.
 * Returns PONDER_OK, or PONDER_E_INVALID_ARGUMENT: an instruction set of an unknown name or another kind of CPU.
 */
PONDER_API ponder_status PONDER_CALL ponder_runtime_create(const ponder_runtime_params* params,
                                                           ponder_runtime** out_runtime,
                                                           ponder_error* err) PONDER_NOEXCEPT;
PONDER_API void PONDER_CALL ponder_runtime_free(ponder_runtime* runtime) PONDER_NOEXCEPT;
/** The instruction set in use, e.g. "avx2"; static. "" for NULL. */
PONDER_API const char* PONDER_CALL ponder_runtime_isa(const ponder_runtime* runtime) PONDER_NOEXCEPT;
/** Compute threads, the calling one included; 0 for NULL. */
PONDER_API int32_t PONDER_CALL ponder_runtime_threads(const ponder_runtime* runtime) PONDER_NOEXCEPT;

typedef struct ponder_memory_info {
  uint32_t struct_size;
  uint32_t flags;        /* 0 */
  int64_t limit_bytes;   /* memory_limit; 0: none */
  int64_t used_bytes;    /* the sum of the four below */
  int64_t peak_bytes;    /* the most that used_bytes has been */
  int64_t weight_bytes;  /* of the models loaded with this runtime */
  int64_t kv_bytes;      /* of its sessions, as they are reserved; forks too */
  int64_t scratch_bytes;
  int64_t other_bytes;   /* from operator new: tokenizers and templates of its models, tables of tensors while a model is loaded,
                            sessions' logits, saved sessions (ponder_buffer), results and importance sums on their way */
} ponder_memory_info;

/** What the large memory of all that lives with this runtime is. Set out_info->struct_size first. */
PONDER_API ponder_status PONDER_CALL ponder_runtime_memory(const ponder_runtime* runtime, ponder_memory_info* out_info,
                                                           ponder_error* err) PONDER_NOEXCEPT;

/**
 * Every kernel of the instruction set in use and of those below it beside its scalar reference, on small data: for a
 * machine that may be broken, or an emulator. Takes well under a second, on the calling thread.
 *
 * out_json  may be NULL; else, also when a kernel fails, a JSON object: isa, ok, n_failed, checks: [{kernel, isa, error,
 *           bound, ok}]. error null: not a finite number.
 * Returns PONDER_OK, or PONDER_E_DEVICE with the first kernel whose error is above its bound.
 */
PONDER_API ponder_status PONDER_CALL ponder_selftest(const ponder_runtime* runtime, ponder_buffer** out_json,
                                                     ponder_error* err) PONDER_NOEXCEPT;

/* ---- Files of the host -------------------------------------------------------------------------------------------- */

/*
 * The host's own files, for models inside an application's archive or a virtual file system; where they are given, a path is
 * a name in there, with '/' between parts: a folder ("" is the root) or a GGUF file, which has to be named as folders cannot
 * be listed. Called on the thread of the call that they were given to, but close of a mapped file on the one that frees the
 * last of what lies in it.
 */

/* PONDER_OK with *out_file (not looked at) and *out_size in bytes, or PONDER_E_NOT_FOUND, PONDER_E_IO or another error. */
typedef ponder_status(PONDER_CALL* ponder_file_open_fn)(void* user_data, const char* name, void** out_file,
                                                        uint64_t* out_size);
/* All size bytes from offset on, which lie in the file; at most 16 MiB at once. PONDER_OK or an error. */
typedef ponder_status(PONDER_CALL* ponder_file_read_fn)(void* user_data, void* file, uint64_t offset, void* out_bytes,
                                                        size_t size);
typedef void(PONDER_CALL* ponder_file_close_fn)(void* user_data, void* file);
/* The bytes of the whole file, valid and unchanged until close; NULL: this file is to be read. */
typedef const void*(PONDER_CALL* ponder_file_map_fn)(void* user_data, void* file);

typedef struct ponder_file_system {
  uint32_t struct_size;
  uint32_t flags;             /* none yet */
  void* user_data;
  ponder_file_open_fn open;
  ponder_file_read_fn read;
  ponder_file_close_fn close;
  ponder_file_map_fn map;     /* may be NULL. Without it weights are read once, into memory of the runtime's allocator: as
                                 much as the files are large */
} ponder_file_system;

static inline ponder_file_system ponder_file_system_default(void) {
  ponder_file_system p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/* ---- Settings of a session --------------------------------------------------------------------------------------- */

typedef int32_t ponder_compute;
#define PONDER_COMPUTE_DEFAULT 0 /* fast */
#define PONDER_COMPUTE_EXACT 1   /* f32 activations and accumulation; same bits for any threads, chunks and batches */
#define PONDER_COMPUTE_FAST 2    /* whatever is quickest, activations may be rounded; same bits for any threads */

typedef int32_t ponder_kv_type;
#define PONDER_KV_DEFAULT 0 /* f32 in exact compute, f16 in fast */
#define PONDER_KV_F32 1
#define PONDER_KV_F16 2
#define PONDER_KV_BF16 3
#define PONDER_KV_Q8_0 4 /* int8, one f16 scale per 32 values; rows or heads of other sizes: PONDER_E_INVALID_ARGUMENT */
#define PONDER_KV_FP8 5  /* latent caches (MLA) only: e4m3 with one scale per 128 values, the rotated key part in bf16 */

/* flags: prompts only set the tokens; ponder_session_next and _step compute them (for hosts with a frame loop) */
#define PONDER_SESSION_DEFER_PREFILL 1u

typedef struct ponder_session_params {
  uint32_t struct_size;
  uint32_t flags;
  int64_t context_length;  /* tokens; 0: min(the model's maximum, 4096) */
  int32_t n_threads;       /* 0: all of the runtime's */
  int32_t prefill_chunk;   /* tokens per forward pass; 0: 256 */
  ponder_compute compute;
  ponder_kv_type kv_type;
  const char* prompt_cache;        /* a folder, made when it is needed; NULL or empty: none. Computed prompts are kept there and
                                      found again by any session with the same model, adapters, compute and kv_type, in this
                                      and other processes, by the longest prefix that they share. Files that are broken or of
                                      something else are not used; a folder that cannot be written to is a warning in the log.
                                      The call that prompts looks there, the call that completes the prompt writes it. The
                                      time-sliced ones write in parts of some 0.1 ms: at least one when they give a token, and
                                      more while their budget lasts. A session that is freed or prompted otherwise before the
                                      file is whole gives it up */
  int64_t prompt_cache_bytes;      /* of all files in it: the least recently used are removed; 0: 4 GiB */
  int32_t prompt_cache_min_tokens; /* computed for a prompt that is to be stored; 0: 256 */
  uint32_t reserved;               /* 0 */
} ponder_session_params;

static inline ponder_session_params ponder_session_params_default(void) {
  ponder_session_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/* ---- Model ------------------------------------------------------------------------------------------------------- */

typedef struct ponder_model ponder_model;

/* fraction in [0, 1], never falling. */
typedef int32_t(PONDER_CALL* ponder_progress_fn)(void* user_data, float fraction);

#define PONDER_MODEL_NO_MTP 1u /* flags: leave the multi-token-prediction layer unloaded */

typedef struct ponder_model_params {
  uint32_t struct_size;
  uint32_t flags;
  ponder_progress_fn progress; /* may be NULL */
  void* progress_user_data;
  const char* weight_type;     /* NULL: weights as and where they lie. Else a type of ponder_quantize_params: weights that
                                  lie in another are converted in memory, and the model computes, bit for bit, what the
                                  file computes that ponder_quantize writes (the MTP layer is left out, as there). At most
                                  the new weights and one tensor of the old ones are in memory at once */
  const ponder_file_system* files; /* NULL: the operating system's. Mapped ones must work as long as the model lives */
} ponder_model_params;

static inline ponder_model_params ponder_model_params_default(void) {
  ponder_model_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/* One file of a checkpoint in memory. */
typedef struct ponder_memory_file {
  const char* name; /* "config.json", "model.safetensors", "tokenizer.json", ... */
  const void* data; /* must outlive every model loaded from it */
  size_t size;      /* bytes */
} ponder_memory_file;

/**
 * Loads a Hugging Face folder (config.json, safetensors shards, tokenizer files) or a GGUF file (of llama.cpp's
 * architectures deepseek2, qwen2 and llama) in place: weights are mapped, not copied, and the files must stay as they
 * are while the model lives.
 *
 * path    the folder, or the file; of a GGUF model in several files any of them.
 * params  may be NULL.
 * Returns PONDER_OK, or
 *         PONDER_E_NOT_FOUND    a file is missing
 *         PONDER_E_BAD_FILE     a file is broken; every missing or wrong tensor is named
 *         PONDER_E_UNSUPPORTED  an architecture, dtype or tokenizer that this library cannot run
 *         PONDER_E_CANCELLED    progress asked to stop
 *         PONDER_E_NUMERIC      (with weight_type) a weight is NaN, infinite or beyond what the type holds: tensor as GGUF
 *                               names it, row, column
 */
PONDER_API ponder_status PONDER_CALL ponder_model_load(ponder_runtime* runtime, const char* path,
                                                       const ponder_model_params* params, ponder_model** out_model,
                                                       ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_model_load, from n_files files in memory. */
PONDER_API ponder_status PONDER_CALL ponder_model_load_memory(ponder_runtime* runtime, const ponder_memory_file* files,
                                                              size_t n_files, const ponder_model_params* params,
                                                              ponder_model** out_model,
                                                              ponder_error* err) PONDER_NOEXCEPT;
/**
 * A model with seeded random weights from an official config.json, for measuring real geometries without a download.
 * dtype: "f32", "f16", "bf16" or "fp8"; n_layers 0: as the config says. Experimental
 */
PONDER_API ponder_status PONDER_CALL ponder_model_random(ponder_runtime* runtime, const char* config_json,
                                                         size_t config_json_len, const char* dtype, int32_t n_layers,
                                                         uint64_t seed, ponder_model** out_model,
                                                         ponder_error* err) PONDER_NOEXCEPT;
PONDER_API void PONDER_CALL ponder_model_free(ponder_model* model) PONDER_NOEXCEPT;

typedef struct ponder_model_info {
  uint32_t struct_size;
  int32_t vocab_size;
  int32_t hidden_size;
  int32_t num_hidden_layers;
  int32_t max_position_embeddings;
  int32_t has_tokenizer;        /* 0 or 1 */
  int32_t has_chat_template;    /* 0 or 1 */
  int32_t has_mtp;              /* 0 or 1: the multi-token-prediction layer is loaded */
  int32_t bos_token_id;         /* of config.json; -1: none */
  int32_t n_eos_token_ids;      /* see ponder_model_eos_ids */
  int64_t n_parameters;         /* without the MTP layer */
  int64_t n_active_parameters;  /* per token */
  int64_t weight_bytes;
  int64_t kv_bytes_per_token;   /* with an f32 cache; half of it with f16 or bf16 */
  uint64_t fingerprint;         /* binds saved sessions to the checkpoint */
  int64_t active_weight_bytes;  /* read for one token, the bound of decoding: no MTP layer, of an embedding no more than a tied
                                   head */
} ponder_model_info;

/** Fills *out_info; set out_info->struct_size first. */
PONDER_API ponder_status PONDER_CALL ponder_model_get_info(const ponder_model* model, ponder_model_info* out_info,
                                                           ponder_error* err) PONDER_NOEXCEPT;
/** Ids that end a reply, from generation_config.json and config.json: a list as described above. */
PONDER_API ponder_status PONDER_CALL ponder_model_eos_ids(const ponder_model* model, int32_t* out_ids, size_t capacity,
                                                          size_t* out_count, ponder_error* err) PONDER_NOEXCEPT;

typedef struct ponder_memory_plan {
  uint32_t struct_size;
  uint32_t flags;           /* 0 */
  int64_t context_length;   /* tokens, resolved */
  int64_t weight_bytes;     /* shared by all sessions; mapped weights by all processes that map the same files, too */
  int64_t kv_bytes;         /* per session, real as it is used */
  int64_t scratch_bytes;    /* per session */
  int64_t total_bytes;      /* of one session and the model: the sum of weight, kv, scratch and other */
  int64_t other_bytes;      /* of the model's tokenizer and template, and the session's logits and sampling */
} ponder_memory_plan;

/** What a session with these params (NULL: the default) would reserve. Set out_plan->struct_size first. */
PONDER_API ponder_status PONDER_CALL ponder_model_plan(const ponder_model* model, const ponder_session_params* params,
                                                       ponder_memory_plan* out_plan, ponder_error* err) PONDER_NOEXCEPT;
/**
 * What a checkpoint is, as a JSON object, from config.json and the tensor headers; no weight is read: architecture,
 * parameters in all and active per token, bytes per dtype and component, kv_bytes_per_token, memory_plan for a session
 * with `params` (NULL: the default), device (where sessions would compute and why), warnings. Errors as ponder_model_load.
 */
PONDER_API ponder_status PONDER_CALL ponder_inspect(const char* path, const ponder_session_params* params,
                                                    ponder_buffer** out_json, ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_inspect, of the host's files. Of files with weights only the heads are read. */
PONDER_API ponder_status PONDER_CALL ponder_inspect_files(const ponder_file_system* files, const char* path,
                                                          const ponder_session_params* params,
                                                          ponder_buffer** out_json, ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_inspect, of files in memory. */
PONDER_API ponder_status PONDER_CALL ponder_inspect_memory(const ponder_memory_file* files, size_t n_files,
                                                           const ponder_session_params* params,
                                                           ponder_buffer** out_json, ponder_error* err) PONDER_NOEXCEPT;
/**
 * The path, for ponder_model_load, of a model by the name that another program on this machine gives it: "deepseek-r1:8b" of
 * Ollama (OLLAMA_MODELS), "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B" of the Hugging Face hub cache (HF_HUB_CACHE, HF_HOME),
 * "publisher/model" of LM Studio, with "/file.gguf" or ":Q4_K_M" behind it where such a folder holds several GGUF files.
 * A path that exists stands for itself. Nothing is downloaded or copied.
 *
 * Returns PONDER_OK, PONDER_E_NOT_FOUND (the message says where it was looked for), or PONDER_E_BAD_FILE and
 * PONDER_E_UNSUPPORTED for a model that is there but broken.
 */
PONDER_API ponder_status PONDER_CALL ponder_model_resolve(const char* name, ponder_buffer** out_path,
                                                          ponder_error* err) PONDER_NOEXCEPT;
/**
 * The models of those programs, as a JSON array of {name, program, path, bytes, runnable} with architecture and parameters
 * where runnable is true, else problem: why not. Reads configs and tensor headers, no weights.
 */
PONDER_API ponder_status PONDER_CALL ponder_model_list(ponder_buffer** out_json, ponder_error* err) PONDER_NOEXCEPT;
/** The warnings of the load (surplus tensors, ...) as a JSON array of strings. */
PONDER_API ponder_status PONDER_CALL ponder_model_load_report(const ponder_model* model, ponder_buffer** out_json,
                                                              ponder_error* err) PONDER_NOEXCEPT;

/* Bytes of the new file, written and in all, and the tensor that is being written (NUL-terminated, valid during the call). */
typedef int32_t(PONDER_CALL* ponder_quantize_fn)(void* user_data, uint64_t done_bytes, uint64_t total_bytes,
                                                 const char* tensor);

typedef struct ponder_quantize_params {
  uint32_t struct_size;
  uint32_t flags;              /* none yet */
  const char* type;            /* NULL: "q4_k_m". One type for all matrices: f32, f16, bf16, q8_0, q6_k, q5_1, q5_0, q4_1,
                                  q4_0, iq4_nl; or a mix that spends more bits where errors cost most: q5_k_m, q5_k_s,
                                  q4_k_m, q4_k_s, iq4_xs, q3_k_l, q3_k_m, q3_k_s, q2_k, q2_k_s */
  const char* imatrix_path;    /* may be NULL: importance matrix of the columns, a GGUF file of llama.cpp's imatrix */
  ponder_quantize_fn progress; /* may be NULL; at least once per 16 MiB of weights in f32 */
  void* progress_user_data;
  const ponder_file_system* files; /* NULL: the operating system's. Of path alone, not of output_path and imatrix_path */
} ponder_quantize_params;

static inline ponder_quantize_params ponder_quantize_params_default(void) {
  ponder_quantize_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/**
 * Writes a model as one GGUF file that ponder and llama.cpp load, with weights of another type. Works tensor by tensor: the
 * memory it needs does not grow with the model. Norms, biases and routers stay f32; rows that are no whole blocks of their
 * type get a smaller one, and the report says so. Experimental
 *
 * path         as ponder_model_load.
 * output_path  the file. It appears when it is complete, and replaces one that was there; without success nothing is left.
 * params       may be NULL.
 * out_json     may be NULL; else a JSON object: file_bytes, n_tensors, bytes_by_type, warnings.
 * Returns PONDER_OK, or as ponder_model_load, or
 *         PONDER_E_UNSUPPORTED  also what GGUF has no words for, named by its key in config.json or tokenizer.json
 *         PONDER_E_IO           the file cannot be written, or the disk has no room for it (said before the work)
 *         PONDER_E_NUMERIC      a weight that is not finite or above 65504 in magnitude, named with its row and column
 *         PONDER_E_CANCELLED    progress asked to stop
 */
PONDER_API ponder_status PONDER_CALL ponder_quantize(ponder_runtime* runtime, const char* path, const char* output_path,
                                                     const ponder_quantize_params* params, ponder_buffer** out_json,
                                                     ponder_error* err) PONDER_NOEXCEPT;

/* Chunks of the text, read and in all. */
typedef int32_t(PONDER_CALL* ponder_imatrix_fn)(void* user_data, uint64_t done_chunks, uint64_t n_chunks);

typedef struct ponder_imatrix_params {
  uint32_t struct_size;
  uint32_t flags;             /* none yet */
  int32_t chunk_tokens;       /* read at once, each chunk on its own, a BOS included where the model has one; 0: 512 */
  int32_t max_chunks;         /* 0: all that the text fills; what is left over is not read */
  ponder_imatrix_fn progress; /* may be NULL; before every chunk and at the end */
  void* progress_user_data;
} ponder_imatrix_params;

static inline ponder_imatrix_params ponder_imatrix_params_default(void) {
  ponder_imatrix_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/**
 * Writes an importance matrix for ponder_quantize_params.imatrix_path: per weight and column (and expert) the mean square
 * of what meets it while the model reads a text like those it will be used on. The file is one that llama.cpp reads too.
 * Experimental
 *
 * text         plain text; special tokens in it are read as text.
 * output_path  as of ponder_quantize.
 * params       may be NULL.
 * out_json     may be NULL; else a JSON object: n_chunks, n_tensors, unreached_experts (of all layers).
 * Returns PONDER_OK, or
 *         PONDER_E_NO_TOKENIZER      the model has none
 *         PONDER_E_INVALID_ARGUMENT  also a text that does not fill one chunk
 *         PONDER_E_IO                the file cannot be written
 *         PONDER_E_CANCELLED         progress asked to stop: no file
 */
PONDER_API ponder_status PONDER_CALL ponder_imatrix(ponder_runtime* runtime, const ponder_model* model, const char* text,
                                                    size_t text_len, const char* output_path,
                                                    const ponder_imatrix_params* params, ponder_buffer** out_json,
                                                    ponder_error* err) PONDER_NOEXCEPT;

/* ---- Tokenizer --------------------------------------------------------------------------------------------------- */

typedef struct ponder_tokenizer ponder_tokenizer;

/**
 * path: a folder with tokenizer.json, or that file (tokenizer_config.json beside it is optional), or a GGUF file.
 * PONDER_E_NOT_FOUND, PONDER_E_BAD_FILE, PONDER_E_UNSUPPORTED.
 */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_load(const char* path, ponder_tokenizer** out_tokenizer,
                                                           ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_tokenizer_load, from the host's files; a path that ends in ".json" is a file. */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_load_files(const ponder_file_system* files, const char* path,
                                                                 ponder_tokenizer** out_tokenizer,
                                                                 ponder_error* err) PONDER_NOEXCEPT;
/** The model's tokenizer, a handle to be freed too; PONDER_E_NO_TOKENIZER when the checkpoint has none. */
PONDER_API ponder_status PONDER_CALL ponder_model_tokenizer(const ponder_model* model, ponder_tokenizer** out_tokenizer,
                                                            ponder_error* err) PONDER_NOEXCEPT;
PONDER_API void PONDER_CALL ponder_tokenizer_free(ponder_tokenizer* tokenizer) PONDER_NOEXCEPT;

typedef struct ponder_tokenizer_info {
  uint32_t struct_size;
  int32_t n_ids;             /* largest id + 1 */
  int32_t bos_token_id;      /* this and the following: -1 when there is none */
  int32_t eos_token_id;
  int32_t think_start_id;    /* <think> */
  int32_t think_end_id;      /* </think> */
  int32_t adds_bos;          /* 0 or 1: raw prompts get the BOS in front */
  int32_t has_chat_template; /* 0 or 1: tokenizer_config.json brings one */
} ponder_tokenizer_info;

/** Fills *out_info; set out_info->struct_size first. */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_get_info(const ponder_tokenizer* tokenizer,
                                                               ponder_tokenizer_info* out_info,
                                                               ponder_error* err) PONDER_NOEXCEPT;

#define PONDER_ENCODE_SPECIAL 1u /* added tokens in the text become their ids */
#define PONDER_ENCODE_BOS 2u     /* put the beginning-of-sentence id in front; PONDER_E_NOT_FOUND when there is none */
#define PONDER_DECODE_SKIP_SPECIAL 1u

/** Ids of a text: a list as described above. flags: PONDER_ENCODE_... */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_encode(const ponder_tokenizer* tokenizer, const char* text,
                                                             size_t text_len, uint32_t flags, int32_t* out_ids,
                                                             size_t capacity, size_t* out_count,
                                                             ponder_error* err) PONDER_NOEXCEPT;
/** Text of ids; unfinished characters become U+FFFD. flags: PONDER_DECODE_... An id without a token is refused. */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_decode(const ponder_tokenizer* tokenizer, const int32_t* ids,
                                                             size_t n_ids, uint32_t flags, ponder_buffer** out_text,
                                                             ponder_error* err) PONDER_NOEXCEPT;
/** The id of one token given by its text, e.g. "<think>"; PONDER_E_NOT_FOUND. */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_find(const ponder_tokenizer* tokenizer, const char* text,
                                                           size_t text_len, int32_t* out_id,
                                                           ponder_error* err) PONDER_NOEXCEPT;

#define PONDER_TOKEN_ADDED 1u   /* one of added_tokens: never the result of plain text */
#define PONDER_TOKEN_SPECIAL 2u /* left out by PONDER_DECODE_SKIP_SPECIAL */

/**
 * One token's raw bytes, possibly a part of a character; *out_bytes is owned by the tokenizer and not NUL-terminated.
 * out_flags (may be NULL): PONDER_TOKEN_... PONDER_E_NOT_FOUND: an id without a token.
 */
PONDER_API ponder_status PONDER_CALL ponder_tokenizer_token(const ponder_tokenizer* tokenizer, int32_t id,
                                                            const char** out_bytes, size_t* out_len,
                                                            uint32_t* out_flags, ponder_error* err) PONDER_NOEXCEPT;

/* ---- Chat templates ---------------------------------------------------------------------------------------------- */

typedef struct ponder_template ponder_template;

/**
 * The Jinja template of a folder (chat_template.jinja, else chat_template of its tokenizer_config.json) or a GGUF file.
 * PONDER_E_NOT_FOUND when there is neither; PONDER_E_TEMPLATE when it does not parse.
 */
PONDER_API ponder_status PONDER_CALL ponder_template_load(const char* path, ponder_template** out_template,
                                                          ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_template_load, from the host's files. */
PONDER_API ponder_status PONDER_CALL ponder_template_load_files(const ponder_file_system* files, const char* path,
                                                                ponder_template** out_template,
                                                                ponder_error* err) PONDER_NOEXCEPT;
/**
 * name: "deepseek-v2", "deepseek-v3", "deepseek-r1" or "r1-distill", with DeepSeek's BOS and EOS; PONDER_E_NOT_FOUND.
 * Of kwargs they know enable_thinking: false makes the last two end in "<think>\n\n</think>\n\n" instead of "<think>\n".
 * The others open no thinking, and it changes nothing there. PONDER_THINK_NONE has that effect with any template.
 */
PONDER_API ponder_status PONDER_CALL ponder_template_builtin(const char* name, ponder_template** out_template,
                                                             ponder_error* err) PONDER_NOEXCEPT;
/** The template that a model's sessions use, own or built-in; when there is none, the status that says why. */
PONDER_API ponder_status PONDER_CALL ponder_model_template(const ponder_model* model, ponder_template** out_template,
                                                           ponder_error* err) PONDER_NOEXCEPT;
PONDER_API void PONDER_CALL ponder_template_free(ponder_template* chat_template) PONDER_NOEXCEPT;

#define PONDER_CHAT_NO_GENERATION_PROMPT 1u /* do not open the assistant's turn */
#define PONDER_CHAT_TRUST_CONTENT 2u /* message content may hold special tokens, as with the official tokenizers */

/**
 * Renders messages to prompt text.
 *
 * messages_json  an OpenAI message array, or {"messages": [...], "tools": [...], "add_generation_prompt": true}; the two
 *                last may be left out, other members are ignored. Content is a string or an array of parts of type text.
 *                Parts are joined, unless the template goes through them itself.
 * kwargs_json    an object of further template variables, e.g. {"enable_thinking": true}, or NULL.
 * flags          PONDER_CHAT_NO_GENERATION_PROMPT.
 * Returns        PONDER_OK, or PONDER_E_TEMPLATE: the template refused the messages or ran into a limit.
 *
 * The text does not say what in it is content: ids that content cannot forge come from ponder_session_chat_ids.
 */
PONDER_API ponder_status PONDER_CALL ponder_template_render(const ponder_template* chat_template,
                                                            const char* messages_json, size_t messages_json_len,
                                                            const char* kwargs_json, size_t kwargs_json_len,
                                                            uint32_t flags, ponder_buffer** out_text,
                                                            ponder_error* err) PONDER_NOEXCEPT;

/* ---- How to sample and when to stop ------------------------------------------------------------------------------ */

typedef struct ponder_logit_bias {
  int32_t id;
  float bias; /* added to the logit; -INFINITY bans the token */
} ponder_logit_bias;

typedef struct ponder_text {
  const char* data;
  size_t size; /* bytes */
} ponder_text;

typedef struct ponder_logprob {
  int32_t id;
  float logprob; /* natural logarithm, before temperature and penalties */
} ponder_logprob;

/*
 * The host's own sampler. Sees the logits [vocab_size] after logit bias and penalties, may change them in place, and may
 * choose by setting *out_id (left at -1: the built-in samplers go on with what the logits are now). An id that cannot be
 * makes the call return PONDER_E_INVALID_ARGUMENT.
 */
typedef int32_t(PONDER_CALL* ponder_sampler_fn)(void* user_data, float* logits, size_t vocab_size, int32_t* out_id);

/* flags */
#define PONDER_GENERATE_IGNORE_EOS 1u    /* go on behind end tokens; stop_ids still end the reply */
#define PONDER_GENERATE_CONTEXT_SHIFT 2u /* a full context forgets its older half instead of PONDER_E_CONTEXT_FULL */

#define PONDER_THINK_NONE -2 /* think_budget: </think> is forced at once */

/* Zero in every field but struct_size: greedy decoding until the model ends its reply or the context is full. */
typedef struct ponder_generate_params {
  uint32_t struct_size;
  uint32_t flags;           /* PONDER_GENERATE_... */
  int64_t max_new_tokens;   /* 0: no limit */
  int64_t think_budget;     /* thinking tokens, then </think> is forced; 0 or -1: no limit; PONDER_THINK_NONE */
  int64_t context_keep;     /* of a context shift: tokens kept at the beginning; 0: the prompt, at most half the context */
  uint64_t seed;            /* same seed and settings, same tokens, whatever the number of threads */
  float temperature;        /* 0: greedy */
  int32_t top_k;            /* 0: off */
  float top_p;              /* 0 or 1: off */
  float min_p;              /* 0: off */
  float typical_p;          /* 0 or 1: off */
  float top_n_sigma;        /* 0: off */
  float xtc_probability;    /* 0: off */
  float xtc_threshold;      /* 0: 0.1 */
  int32_t mirostat;         /* 0: off; 2 */
  float mirostat_tau;       /* 0: 5 */
  float mirostat_eta;       /* 0: 0.1 */
  float repetition_penalty; /* 0 or 1: off */
  float presence_penalty;   /* 0: off */
  float frequency_penalty;  /* 0: off */
  int32_t penalty_last_n;   /* tokens that the three look back at; 0: 64; -1: all */
  float dry_multiplier;     /* 0: off */
  float dry_base;           /* 0: 1.75 */
  int32_t dry_allowed_length; /* 0: 2 */
  int32_t dry_last_n;       /* tokens that DRY looks back at; 0 or -1: all */
  int32_t n_top_logprobs;   /* likeliest alternatives that each event carries, at most 64 */
  const ponder_logit_bias* logit_bias;
  size_t n_logit_bias;
  const ponder_text* stop;  /* stop strings, in the answer; not part of the text */
  size_t n_stop;
  const int32_t* stop_ids;  /* beside the model's end tokens */
  size_t n_stop_ids;
  ponder_sampler_fn sampler; /* may be NULL; not part of a saved session */
  void* sampler_user_data;
} ponder_generate_params;

static inline ponder_generate_params ponder_generate_params_default(void) {
  ponder_generate_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

typedef int32_t ponder_effort;
#define PONDER_EFFORT_DEFAULT 0 /* no limit but the fields' */
#define PONDER_EFFORT_NONE 1    /* </think> is forced at once */
#define PONDER_EFFORT_LOW 2     /* turn_budget 512, early exit by probes */
#define PONDER_EFFORT_MEDIUM 3  /* turn_budget 4096, early exit by probes */
#define PONDER_EFFORT_HIGH 4    /* no limit */

/*
 * Thinking that ends when the answer has settled. Every probe_every thinking tokens, at the end of a line, the block is closed on
 * trial behind the cached tokens: probe_text is read, what follows in its box is decoded greedily, and all of it is taken back.
 * Probes are neither streamed nor part of the reply, and change it only by ending its thinking.
 */
typedef int32_t ponder_early_exit;
#define PONDER_EARLY_EXIT_DEFAULT 0    /* by effort, else off */
#define PONDER_EARLY_EXIT_OFF 1
#define PONDER_EARLY_EXIT_PROBE 2      /* the last probe_agree answers say the same */
#define PONDER_EARLY_EXIT_CONFIDENCE 3 /* the geometric mean of the answer's probabilities is at least confidence */

/* flags */
#define PONDER_REASONING_NO_LOOP_DETECTION 1u

/*
 * The controller of a reply's thinking and answer, for tokenizers with <think> and </think>: what ends a block of thinking,
 * and what is kept for the answer. What it forces ("forced" in the events) is seen by the cache, penalties and the stream,
 * counts in max_new_tokens, and never as thinking or answer tokens. With it on
 *   - sampled thinking tokens never exceed a budget by more than grace + 3: a character is not cut;
 *   - the answer begins with answer_reserve tokens left, where max_new_tokens and context_length have room for it;
 *   - an end token within the thinking closes the block instead, and the answer is not blank, unless a stop string or the
 *     host's sampler makes it so: end tokens wait until it says something;
 *   - a reply that repeats itself in its thinking goes on to its answer, and in its answer ends with PONDER_FINISH_LOOP.
 */
typedef struct ponder_reasoning_params {
  uint32_t struct_size;
  uint32_t flags;         /* PONDER_REASONING_... */
  ponder_effort effort;
  int32_t grace;          /* behind a budget: at most so many tokens more to the end of a line or sentence, where the block is
                             closed; 0: 32; -1: none, a hard budget */
  int64_t turn_budget;    /* thinking tokens of the whole reply, beside think_budget; 0: by effort; -1: no limit */
  int64_t block_budget;   /* of each block; 0 or -1: no limit */
  int64_t answer_reserve; /* tokens left when the answer begins; 0: min(256, a quarter of what the reply may have); -1: none */
  int64_t min_tokens;     /* as long as fewer were thought, </think> is replaced by wait_text; budgets come first; 0: none */
  int64_t max_waits;      /* ... and this many times in any case; 0: none */
  const char* wait_text;  /* NULL: "Wait". On a new line; at most 4096 bytes, as message */
  const char* message;    /* forced on a line of its own before </think>; NULL: none */
  ponder_early_exit early_exit;
  float confidence;       /* 0: 0.95 */
  int32_t probe_every;    /* 0: 64 */
  int32_t probe_agree;    /* 0: 3 */
  int32_t probe_tokens;   /* longest answer of a probe; 0: 20 */
  int32_t probe_max;      /* probes of a reply; 0: 10 with confidence, else no limit */
  const char* probe_text; /* NULL: "\n</think>\n\n**Final Answer**\n\\boxed{"; added tokens in it become their ids, and it ends
                             within a box */
} ponder_reasoning_params;

static inline ponder_reasoning_params ponder_reasoning_params_default(void) {
  ponder_reasoning_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/* The published settings of R1: temperature 0.6, top-p 0.95. */
static inline ponder_generate_params ponder_generate_params_r1(void) {
  ponder_generate_params p = ponder_generate_params_default();
  p.temperature = 0.6f;
  p.top_p = 0.95f;
  return p;
}

/**
 * The sampling that the checkpoint's generation_config.json asks for (do_sample, temperature, top_p, top_k,
 * max_new_tokens); the default where it says nothing. Set out_params->struct_size first.
 */
PONDER_API ponder_status PONDER_CALL ponder_model_generate_params(const ponder_model* model,
                                                                  ponder_generate_params* out_params,
                                                                  ponder_error* err) PONDER_NOEXCEPT;

/* ---- Session ----------------------------------------------------------------------------------------------------- */

typedef struct ponder_session ponder_session;

/** Memory for context_length tokens is reserved here; decoding allocates nothing. params may be NULL. */
PONDER_API ponder_status PONDER_CALL ponder_session_create(ponder_runtime* runtime, ponder_model* model,
                                                           const ponder_session_params* params,
                                                           ponder_session** out_session,
                                                           ponder_error* err) PONDER_NOEXCEPT;
PONDER_API void PONDER_CALL ponder_session_free(ponder_session* session) PONDER_NOEXCEPT;
/**
 * Sampling and limits of the following calls; arrays inside are copied. params NULL: the default. The random state
 * restarts when the seed changes, and with every prompt.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_set_params(ponder_session* session,
                                                               const ponder_generate_params* params,
                                                               ponder_error* err) PONDER_NOEXCEPT;
/**
 * What is set; out_params->struct_size first. Fields that were 0 hold the value used. Arrays inside are owned by the
 * session and valid until the next call of ponder_session_get_params, _set_params or a restore.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_get_params(ponder_session* session,
                                                               ponder_generate_params* out_params,
                                                               ponder_error* err) PONDER_NOEXCEPT;

/**
 * Turns the controller on for this reply and the following ones; params NULL: off, only think_budget of
 * ponder_generate_params counts. ponder_session_set_params leaves it as it is; forks and saved sessions have it.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_set_reasoning(ponder_session* session,
                                                                  const ponder_reasoning_params* params,
                                                                  ponder_error* err) PONDER_NOEXCEPT;

typedef int32_t ponder_grammar;
#define PONDER_GRAMMAR_NONE 0
#define PONDER_GRAMMAR_GBNF 1        /* llama.cpp's EBNF; begins at the rule root */
#define PONDER_GRAMMAR_REGEX 2       /* the whole answer matches */
#define PONDER_GRAMMAR_JSON_SCHEMA 3 /* the answer is JSON that validates; `true` for any JSON */

/**
 * Strict answers: those of this and the following replies stay within a grammar, from where a reply's thinking ends, or from
 * its beginning when the prompt opens no thinking. A complete answer ends with an end token; where none may come, by itself.
 *
 * kind  a PONDER_GRAMMAR_ value; NONE takes the grammar away, and text is not looked at.
 * text  UTF-8, text_len bytes; copied. What is supported stands in docs/grammar.md.
 *
 * Returns  PONDER_OK; PONDER_E_INVALID_ARGUMENT, PONDER_E_UNSUPPORTED or PONDER_E_BAD_FILE (no JSON): what is wrong with the text and
 *          where, the grammar before stays; PONDER_E_NO_TOKENIZER. ponder_session_next says PONDER_E_UNSUPPORTED when no token of
 *          the vocabulary can go on.
 * Threads  as ponder_session_next. Forks have the grammar; saved sessions do not. Needs at most some 100 MiB of memory, which
 *          no ceiling counts.
 * Since    0.1
 */
PONDER_API ponder_status PONDER_CALL ponder_session_set_grammar(ponder_session* session, ponder_grammar kind, const char* text,
                                                                size_t text_len, ponder_error* err) PONDER_NOEXCEPT;

/* Prompt tokens computed and in all. */
typedef int32_t(PONDER_CALL* ponder_prefill_fn)(void* user_data, size_t n_done, size_t n_total);

/*
 * Prompts. Each sets the whole conversation: what it shares with the tokens already computed is reused, the rest is
 * computed (with PONDER_SESSION_DEFER_PREFILL later). progress may be NULL. Each returns PONDER_OK, or
 *   PONDER_E_CONTEXT_FULL  it does not fit context_length; the session is unchanged
 *   PONDER_E_CANCELLED     the session holds a computed part of the prompt; the next prompt reuses it
 *   PONDER_E_NO_TOKENIZER  (all but _ids)
 */

/**
 * messages_json, kwargs_json, flags: as ponder_template_render, and PONDER_CHAT_TRUST_CONTENT; without it message content
 * can never become special tokens. PONDER_E_TEMPLATE; PONDER_E_NOT_FOUND: the model has no chat template.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_chat(ponder_session* session, const char* messages_json,
                                                                size_t messages_json_len, const char* kwargs_json,
                                                                size_t kwargs_json_len, uint32_t flags,
                                                                ponder_prefill_fn progress, void* user_data,
                                                                ponder_error* err) PONDER_NOEXCEPT;
/** One user message: the shortest way to a reply. */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt(ponder_session* session, const char* user_text,
                                                           size_t user_text_len, ponder_error* err) PONDER_NOEXCEPT;
/** A raw prompt without a template. flags: PONDER_ENCODE_SPECIAL. BOS as the tokenizer's config says. */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_text(ponder_session* session, const char* text,
                                                                size_t text_len, uint32_t flags,
                                                                ponder_prefill_fn progress, void* user_data,
                                                                ponder_error* err) PONDER_NOEXCEPT;
/** Token ids as they are; works without a tokenizer. */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_ids(ponder_session* session, const int32_t* ids,
                                                               size_t n_ids, ponder_prefill_fn progress,
                                                               void* user_data, ponder_error* err) PONDER_NOEXCEPT;
/** Adds ids behind what is there; all of it is the prompt of the next reply. */
PONDER_API ponder_status PONDER_CALL ponder_session_append_ids(ponder_session* session, const int32_t* ids,
                                                               size_t n_ids, ponder_prefill_fn progress,
                                                               void* user_data, ponder_error* err) PONDER_NOEXCEPT;
/** The ids that ponder_session_prompt_chat would use: a list as described above. The session is not changed. */
PONDER_API ponder_status PONDER_CALL ponder_session_chat_ids(const ponder_session* session, const char* messages_json,
                                                             size_t messages_json_len, const char* kwargs_json,
                                                             size_t kwargs_json_len, uint32_t flags, int32_t* out_ids,
                                                             size_t capacity, size_t* out_count,
                                                             ponder_error* err) PONDER_NOEXCEPT;

typedef int32_t ponder_channel;
#define PONDER_CHANNEL_ANSWER 0
#define PONDER_CHANNEL_THINKING 1

typedef int32_t ponder_finish;
#define PONDER_FINISH_NONE 0      /* the reply goes on */
#define PONDER_FINISH_STOP 1      /* end token, stop id or stop string */
#define PONDER_FINISH_LENGTH 2    /* max_new_tokens, or the context is full */
#define PONDER_FINISH_LOOP 3      /* the model repeats itself */
#define PONDER_FINISH_CANCELLED 4
#define PONDER_FINISH_ERROR 5

typedef struct ponder_token_event {
  uint32_t struct_size;
  int32_t id;              /* the end token is an event too */
  ponder_channel channel;
  int32_t forced;          /* 1: not sampled (the end of thinking, a wait) */
  const char* text;        /* whole characters, possibly none; no terminator. <think> and </think> have no text. */
  size_t text_len;         /* bytes */
  const ponder_logprob* top_logprobs; /* n_top_logprobs of the params, best first; of this token's position */
  size_t n_top_logprobs;
  float logprob;           /* of id, before temperature and penalties; 0 when forced */
  uint32_t flags;          /* 0 */
} ponder_token_event;      /* pointers: owned by the session, valid until the next call on it */

/**
 * Generates the next token of the reply: one decode step, one sample.
 *
 * session    prompted before.
 * out_event  set struct_size first; filled on PONDER_OK.
 *
 * Returns  PONDER_OK, or PONDER_END when the reply is complete (end token, stop string, max_new_tokens), or
 *          PONDER_E_CONTEXT_FULL  all context_length tokens are used; the session is unchanged
 *          PONDER_E_CANCELLED     ponder_session_cancel was called; prompt again to go on
 *          PONDER_E_NUMERIC       the model produced NaN
 *          PONDER_E_STATE         not prompted yet
 * Blocks for one decode step.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_next(ponder_session* session, ponder_token_event* out_event,
                                                         ponder_error* err) PONDER_NOEXCEPT;
/** Time-sliced: as ponder_session_next, or PONDER_PENDING after about budget_us microseconds; call again to go on. */
PONDER_API ponder_status PONDER_CALL ponder_session_step(ponder_session* session, int64_t budget_us,
                                                         ponder_token_event* out_event,
                                                         ponder_error* err) PONDER_NOEXCEPT;
/**
 * One decode step of several sessions of one model in one forward pass.
 *
 * events    [n_sessions], all with the same struct_size, which is also the distance between two of them.
 * statuses  [n_sessions]: what ponder_session_next would have returned for sessions[i]; events[i] is filled on PONDER_OK.
 * Returns   PONDER_OK when all statuses are there; PONDER_E_INVALID_ARGUMENT: a session is NULL, twice in the list or of
 *           another model. err: of the call, else of the first session with an error.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_next_batch(ponder_session* const* sessions, size_t n_sessions,
                                                               ponder_token_event* events, ponder_status* statuses,
                                                               ponder_error* err) PONDER_NOEXCEPT;

/* event is valid during the call. */
typedef int32_t(PONDER_CALL* ponder_token_fn)(void* user_data, const ponder_token_event* event);
/**
 * A loop over ponder_session_next until the end; on_token may be NULL. PONDER_OK at the end of the reply; stopped by
 * on_token it is PONDER_E_CANCELLED, and a later call goes on. Other errors as ponder_session_next.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_generate(ponder_session* session, ponder_token_fn on_token,
                                                             void* user_data, ponder_error* err) PONDER_NOEXCEPT;
/**
 * From any thread, a callback or a signal handler: the running call, or else the next one that computes, returns
 * PONDER_E_CANCELLED within one layer's time, and so do all that follow until a prompt, rewind or restore.
 */
PONDER_API void PONDER_CALL ponder_session_cancel(ponder_session* session) PONDER_NOEXCEPT;
/**
 * "Answer now", from any thread, a callback or a signal handler: the thinking of the running reply, or of the one that the
 * last prompt has prepared, is closed at the next end of a line or sentence, after grace (without the controller 32) tokens
 * at the latest, and does not open again. The next prompt, rewind or restore forgets it.
 */
PONDER_API void PONDER_CALL ponder_session_stop_thinking(ponder_session* session) PONDER_NOEXCEPT;
/** Why the last reply ended; PONDER_FINISH_NONE for NULL. */
PONDER_API ponder_finish PONDER_CALL ponder_session_finish_reason(const ponder_session* session) PONDER_NOEXCEPT;
/** The channel that the next token belongs to; thinking also when the prompt itself opened the block. */
PONDER_API ponder_channel PONDER_CALL ponder_session_next_channel(const ponder_session* session) PONDER_NOEXCEPT;

/**
 * A second session with the same content, settings and random state, which shares the memory of the common prefix: n
 * completions of one prompt are n - 1 forks, each with a seed of its own by ponder_session_set_params.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_fork(const ponder_session* session, ponder_session** out_session,
                                                         ponder_error* err) PONDER_NOEXCEPT;
/**
 * Keeps the first n_tokens tokens and forgets the rest; decoding goes on from there, also after a cancel. The random state
 * stays as it is: a sampled reply then goes on in another way.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_rewind(ponder_session* session, size_t n_tokens,
                                                           ponder_error* err) PONDER_NOEXCEPT;
/**
 * The whole state: tokens, cache, settings, random state. Restorable into a session of the same model with the same
 * kv_type, also in the middle of thinking, and on another machine.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_save(const ponder_session* session, ponder_buffer** out_state,
                                                         ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_session_save, to a file; an existing file is replaced when all is written, never half. PONDER_E_IO. */
PONDER_API ponder_status PONDER_CALL ponder_session_save_file(const ponder_session* session, const char* path,
                                                              ponder_error* err) PONDER_NOEXCEPT;
/**
 * Takes over a saved state; everything is checked before anything is changed.
 * PONDER_E_BAD_FILE      damaged or cut off
 * PONDER_E_UNSUPPORTED   of another version
 * PONDER_E_INVALID_ARGUMENT of another model, kv_type or adapters
 * PONDER_E_CONTEXT_FULL  more tokens than context_length
 */
PONDER_API ponder_status PONDER_CALL ponder_session_restore(ponder_session* session, const void* state,
                                                            size_t state_size, ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_session_restore, from a file. PONDER_E_NOT_FOUND, PONDER_E_IO. */
PONDER_API ponder_status PONDER_CALL ponder_session_restore_file(ponder_session* session, const char* path,
                                                                 ponder_error* err) PONDER_NOEXCEPT;

/** All token ids of the session, prompt and reply: a list as described above. */
PONDER_API ponder_status PONDER_CALL ponder_session_tokens(const ponder_session* session, int32_t* out_ids,
                                                           size_t capacity, size_t* out_count,
                                                           ponder_error* err) PONDER_NOEXCEPT;
/**
 * Copies the logits of the last position, before temperature and penalties; computes what a deferred prefill left.
 *
 * out_logits  [vocab_size] f32, unnormalised log-probabilities, index = token id.
 * count       elements in out_logits.
 * Returns     PONDER_OK, or PONDER_E_BUFFER_TOO_SMALL (nothing written), PONDER_E_STATE (not prompted).
 */
PONDER_API ponder_status PONDER_CALL ponder_session_logits(ponder_session* session, float* out_logits, size_t count,
                                                           ponder_error* err) PONDER_NOEXCEPT;
/** The n likeliest next tokens into out [n], best first; n at most vocab_size. PONDER_E_STATE (not prompted). */
PONDER_API ponder_status PONDER_CALL ponder_session_top_logprobs(ponder_session* session, ponder_logprob* out, size_t n,
                                                                 ponder_error* err) PONDER_NOEXCEPT;
/**
 * log p of each token of the session given those before it, by a fresh pass over them: out_logprobs [count], at least as
 * many as the session has tokens; out_logprobs[0] is 0. PONDER_E_BUFFER_TOO_SMALL, PONDER_E_STATE (not prompted).
 */
PONDER_API ponder_status PONDER_CALL ponder_session_prompt_logprobs(ponder_session* session, float* out_logprobs,
                                                                    size_t count, ponder_error* err) PONDER_NOEXCEPT;

typedef int32_t ponder_think_end; /* why the last block of thinking ended */
#define PONDER_THINK_END_NONE 0       /* there was none, or it is open */
#define PONDER_THINK_END_MODEL 1      /* </think>, or the end token in its place */
#define PONDER_THINK_END_BUDGET 2     /* a budget or the answer's reserve, at the end of a line or sentence */
#define PONDER_THINK_END_GRACE_CUT 3  /* the same, when the grace was used up */
#define PONDER_THINK_END_EARLY_EXIT 4
#define PONDER_THINK_END_LOOP 5
#define PONDER_THINK_END_USER 6       /* ponder_session_stop_thinking */

typedef struct ponder_session_stats {
  uint32_t struct_size;
  uint32_t flags;           /* 0 */
  int64_t context_length;   /* tokens */
  int64_t n_tokens;         /* in the session */
  int64_t prompt_tokens;    /* of the last prompt */
  int64_t reused_tokens;    /* of these, found in the cache */
  int64_t thinking_tokens;  /* of the reply: sampled in the thinking channel */
  int64_t answer_tokens;    /* sampled in the answer, the end token included */
  int64_t forced_tokens;    /* not sampled; the three add up to the reply */
  int64_t kv_bytes;         /* reserved */
  int64_t scratch_bytes;
  double prefill_ms;        /* of the last prompt */
  double decode_ms;         /* of the reply */
  ponder_think_end think_end;
  int32_t n_waits;          /* of the reply: </think> replaced by wait_text */
  int64_t probe_tokens;     /* of the reply: computed to look at its answer; in none of the others */
} ponder_session_stats;

/** Set out_stats->struct_size first. */
PONDER_API ponder_status PONDER_CALL ponder_session_get_stats(const ponder_session* session,
                                                              ponder_session_stats* out_stats,
                                                              ponder_error* err) PONDER_NOEXCEPT;

/* ---- Several replies to one prompt ------------------------------------------------------------------------------- */

typedef int32_t ponder_answer_place; /* where the answer stands in the text behind the thinking */
#define PONDER_ANSWER_BOXED 0        /* the last \boxed{...} or \fbox{...} */
#define PONDER_ANSWER_BOXED_OR_NUMBER 1 /* that, or without a box the last number */
#define PONDER_ANSWER_TAG 2          /* the last <answer>...</answer> */

/* flags */
#define PONDER_SAMPLES_WEIGHTED 1u /* a vote counts exp(mean log-probability of the reply), not 1 */
#define PONDER_SAMPLES_ALL 2u      /* all n, also when the leader cannot be overtaken or a score has reached the threshold */

typedef struct ponder_samples_params {
  uint32_t struct_size;
  uint32_t flags;
  int32_t n;          /* replies at most, up to 1024; 0: 8 */
  int32_t n_parallel; /* computed together; 0: min(n, 16) */
  ponder_answer_place place;
  uint32_t reserved;  /* 0 */
  double threshold;   /* of ponder_session_best_of: from this score on nothing better is looked for; 0: 1 */
} ponder_samples_params;

static inline ponder_samples_params ponder_samples_params_default(void) {
  ponder_samples_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

/**
 * Self-consistency: up to n replies to the session's prompt, and the answer that most of them give. The replies are forks that
 * share the computed prompt and are computed together; reply i samples with the session's seed + i. Two answers are one when
 * they say the same (1/2 and 0.5; the rules are in docs/answers.md). Ends when the leader cannot be overtaken any more.
 *
 * session   prompted, its reply not begun. Holds the winning reply afterwards, as if it had been its own: the likeliest of
 *           those that give the winning answer. After an error it is as it was.
 * params    may be NULL.
 * out_json  may be NULL; else an object: best (index in samples), n_started, groups: [{answer, weight, n}], samples: [{index,
 *           thinking, answer, extracted (null: none, it has no vote), group, mean_logprob, thinking_tokens, answer_tokens,
 *           finish_reason, think_end}] of those that came to an end, in that order.
 *
 * Returns   PONDER_OK, or PONDER_E_STATE (not prompted, or the reply has begun), PONDER_E_CANCELLED, or as
 *           ponder_session_next of a reply.
 * Needs n_parallel times the memory that a session's plan says. With exact compute the same seed gives the same result.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_vote(ponder_session* session, const ponder_samples_params* params,
                                                         ponder_buffer** out_json, ponder_error* err) PONDER_NOEXCEPT;

/* Filled by the library, which may append fields. */
typedef struct ponder_sample {
  int64_t index;           /* its seed is the session's plus this */
  ponder_text thinking;
  ponder_text answer;
  ponder_text extracted;   /* data NULL: it has none */
  const int32_t* ids;
  size_t n_ids;
  double mean_logprob;     /* of the sampled tokens */
  ponder_finish finish;
  ponder_think_end think_end;
} ponder_sample;           /* valid during the call */

/* Writes the score of a reply, greater is better; NaN: none. */
typedef int32_t(PONDER_CALL* ponder_verifier_fn)(void* user_data, const ponder_sample* sample, double* out_score);
/**
 * As ponder_session_vote, but the reply with the greatest score is taken, the first of equal ones; ends at the first that
 * reaches the threshold. In the JSON object samples have a score (null: none), and there are no groups.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_best_of(ponder_session* session, const ponder_samples_params* params,
                                                            ponder_verifier_fn verifier, void* user_data,
                                                            ponder_buffer** out_json, ponder_error* err) PONDER_NOEXCEPT;

/* ---- LoRA adapters ----------------------------------------------------------------------------------------------- */

typedef struct ponder_adapter ponder_adapter; /* immutable: any thread, any number of sessions */

/**
 * A LoRA adapter as PEFT saves it: a folder with adapter_config.json (r, lora_alpha, use_rslora, rank_pattern,
 * alpha_pattern) and adapter_model.safetensors (F32, F16 or BF16, mapped and not copied), for the attention projections,
 * dense, shared and routed experts' gate, up and down projections, and lm_head of this model (its MTP layer stays as it
 * is). The model may have its weights in any type, GGUF included: they stay as they are, and what the adapter adds to each
 * product is computed in f32.
 *
 * Returns  PONDER_OK, or
 *          PONDER_E_NOT_FOUND    a file is missing
 *          PONDER_E_BAD_FILE     a file is broken; a tensor belongs to no weight of the model or has another shape, by name
 *          PONDER_E_UNSUPPORTED  another kind of adapter (DoRA, biases, embeddings, modules_to_save, ...), by name
 *          PONDER_E_NUMERIC      a value is NaN or infinite
 */
PONDER_API ponder_status PONDER_CALL ponder_adapter_load(ponder_runtime* runtime, ponder_model* model, const char* path,
                                                         ponder_adapter** out_adapter, ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_adapter_load, from n_files files in memory, which must outlive the adapter and its sessions. */
PONDER_API ponder_status PONDER_CALL ponder_adapter_load_memory(ponder_runtime* runtime, ponder_model* model,
                                                                const ponder_memory_file* files, size_t n_files,
                                                                ponder_adapter** out_adapter,
                                                                ponder_error* err) PONDER_NOEXCEPT;
/** Sessions that use it keep it. */
PONDER_API void PONDER_CALL ponder_adapter_free(ponder_adapter* adapter) PONDER_NOEXCEPT;

typedef struct ponder_adapter_info {
  uint32_t struct_size;
  int32_t max_rank;
  int64_t n_weights;    /* that it adds to */
  int64_t n_parameters;
  uint64_t fingerprint;
} ponder_adapter_info;

/** Fills *out_info; set out_info->struct_size first. */
PONDER_API ponder_status PONDER_CALL ponder_adapter_get_info(const ponder_adapter* adapter,
                                                             ponder_adapter_info* out_info,
                                                             ponder_error* err) PONDER_NOEXCEPT;

typedef struct ponder_adapter_use {
  ponder_adapter* adapter;
  float scale;    /* multiplies what the adapter adds: 1 as it was trained, 0 as if it were not there */
  uint32_t flags; /* none yet */
} ponder_adapter_use;

/**
 * The adapters of a session from here on, all at once, in place of those before; none: the model itself, bit for bit.
 *
 * Between any two calls, also in the middle of a reply. The tokens stay; what was computed of them with other adapters is
 * forgotten, and the next call that needs it computes them anew (so a swap costs the prefill of the conversation; with
 * PONDER_SESSION_DEFER_PREFILL and ponder_session_step in slices, too). The same adapters and scales again change nothing.
 * Forks have the adapters of their parent. A saved session can be restored with the same adapters only, else
 * PONDER_E_INVALID_ARGUMENT.
 *
 * adapters  [n_adapters] of the session's model, each once, else PONDER_E_INVALID_ARGUMENT.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_set_adapters(ponder_session* session,
                                                                 const ponder_adapter_use* adapters, size_t n_adapters,
                                                                 ponder_error* err) PONDER_NOEXCEPT;

/* ---- Batch: many sessions, computed together ---------------------------------------------------------------------- */

typedef struct ponder_batch ponder_batch;

typedef struct ponder_batch_params {
  uint32_t struct_size;
  uint32_t flags;       /* none yet */
  int32_t token_budget; /* tokens of one step, 16 to 65536; 0: 256. More is faster on prompts and slower to the next tokens */
  int32_t n_threads;    /* 0: all of the runtime's */
} ponder_batch_params;

static inline ponder_batch_params ponder_batch_params_default(void) {
  ponder_batch_params p;
  memset(&p, 0, sizeof p);
  p.struct_size = (uint32_t)sizeof p;
  return p;
}

typedef struct ponder_batch_event {
  uint32_t struct_size;
  ponder_status status;             /* PONDER_OK: a token. Else what ponder_session_next would have returned; told once, until
                                       the session can go on (another prompt, a rewind, other params) */
  ponder_session* session;
  const ponder_token_event* token;  /* with PONDER_OK, else NULL; what it points to is valid until the next step, or call on
                                       the session */
  const char* message;              /* of an error, NUL-terminated; valid until the next step */
} ponder_batch_event;

/**
 * Continuous batching: sessions of one model come and go at any time, and each step computes the next token of those that
 * reply and a part of the prompts that wait, in one forward pass. Each session keeps its own sampling, limits and random
 * state, and with exact compute gets the same bits as alone. What fails or is cancelled leaves the others alone.
 *
 * Prompt sessions with PONDER_SESSION_DEFER_PREFILL, else the prompt itself computes. Between two steps a session in a
 * batch can be used in any other way; when a step is under way (ponder_batch_step) that gives up its part of the work.
 * A batch is used by one thread at a time (a second call is PONDER_E_STATE); a session that another call is using at that
 * moment is left out of the step. ponder_session_cancel works from any thread, at the latest when the step is over. The
 * batch does not own its sessions: one that is freed leaves.
 *
 * params  may be NULL.
 */
PONDER_API ponder_status PONDER_CALL ponder_batch_create(ponder_runtime* runtime, ponder_model* model,
                                                         const ponder_batch_params* params, ponder_batch** out_batch,
                                                         ponder_error* err) PONDER_NOEXCEPT;
PONDER_API void PONDER_CALL ponder_batch_free(ponder_batch* batch) PONDER_NOEXCEPT;
/**
 * The batch's own scratch memory is made for the first session; all sessions of a batch have the same compute and kv_type.
 * priority: greater is served first, when the budget is not enough for all; who goes without for a step counts as one
 * greater, and so on until it is served. PONDER_E_INVALID_ARGUMENT: of another model, or in the batch already.
 */
PONDER_API ponder_status PONDER_CALL ponder_batch_add(ponder_batch* batch, ponder_session* session, int32_t priority,
                                                      ponder_error* err) PONDER_NOEXCEPT;
/** The session can go on alone or elsewhere, as it is. This and the following: PONDER_E_NOT_FOUND, it is not in the batch. */
PONDER_API ponder_status PONDER_CALL ponder_batch_remove(ponder_batch* batch, ponder_session* session,
                                                         ponder_error* err) PONDER_NOEXCEPT;
PONDER_API ponder_status PONDER_CALL ponder_batch_set_priority(ponder_batch* batch, ponder_session* session,
                                                               int32_t priority, ponder_error* err) PONDER_NOEXCEPT;
/** paused 1: the session gets nothing, not even events, until it is 0 again. */
PONDER_API ponder_status PONDER_CALL ponder_batch_set_paused(ponder_batch* batch, ponder_session* session, int32_t paused,
                                                             ponder_error* err) PONDER_NOEXCEPT;
/**
 * One step: a forward pass over at most token_budget tokens, then the next token of every session that has what it needs.
 * Next tokens come before prompts, for which a quarter of the budget is kept when any waits.
 *
 * out_events  [capacity], all with the same struct_size, which is also the distance between two of them; capacity at least
 *             the sessions in the batch, else PONDER_E_BUFFER_TOO_SMALL with that number in *out_count.
 * out_count   events written, at most one per session; none when the step computed only parts of prompts.
 *
 * Returns  PONDER_OK, or PONDER_END: no session has anything to do.
 * Blocks for one forward pass.
 */
PONDER_API ponder_status PONDER_CALL ponder_batch_next(ponder_batch* batch, ponder_batch_event* out_events,
                                                       size_t capacity, size_t* out_count,
                                                       ponder_error* err) PONDER_NOEXCEPT;
/** Time-sliced: as ponder_batch_next, or PONDER_PENDING after about budget_us microseconds; call again to go on. */
PONDER_API ponder_status PONDER_CALL ponder_batch_step(ponder_batch* batch, int64_t budget_us,
                                                       ponder_batch_event* out_events, size_t capacity,
                                                       size_t* out_count, ponder_error* err) PONDER_NOEXCEPT;

/* ---- Embeddings: vectors of texts -------------------------------------------------------------------------------- */

typedef int32_t ponder_pooling;
#define PONDER_POOLING_DEFAULT 0 /* mean */
#define PONDER_POOLING_MEAN 1    /* over all tokens of the input, BOS included */
#define PONDER_POOLING_LAST 2    /* of the last token, which has seen all others */

/* flags */
#define PONDER_EMBED_NORMALIZE 1u /* each vector to length 1; a zero vector stays */
#define PONDER_EMBED_SPECIAL 2u   /* texts only: added tokens in the text become their ids */

/**
 * One vector per text: the hidden states behind the model's final norm, pooled. The texts share forward passes; each has a
 * cache of its own while it is computed. The session's content stays as it is.
 *
 * texts        each at most context_length tokens, BOS included, which is put in front as the tokenizer's config says.
 * out_vectors  [n_texts, hidden_size] f32; capacity, out_count: in floats, as in a list. NULL with capacity 0 computes
 *              nothing.
 *
 * Returns  PONDER_OK, or
 *          PONDER_E_CONTEXT_FULL   a text is too long; the message names it
 *          PONDER_E_CANCELLED      by ponder_session_cancel
 *          PONDER_E_NUMERIC        the model produced NaN
 *          PONDER_E_NO_TOKENIZER
 * With exact compute the same bits for any batch of texts, prefill_chunk and number of threads.
 */
PONDER_API ponder_status PONDER_CALL ponder_session_embed_texts(ponder_session* session, const ponder_text* texts,
                                                                size_t n_texts, ponder_pooling pooling, uint32_t flags,
                                                                float* out_vectors, size_t capacity,
                                                                size_t* out_count, ponder_error* err) PONDER_NOEXCEPT;
/** As ponder_session_embed_texts, of token ids: all inputs one after another in ids, lengths [n_inputs] of each. */
PONDER_API ponder_status PONDER_CALL ponder_session_embed_ids(ponder_session* session, const int32_t* ids,
                                                              const size_t* lengths, size_t n_inputs,
                                                              ponder_pooling pooling, uint32_t flags,
                                                              float* out_vectors, size_t capacity, size_t* out_count,
                                                              ponder_error* err) PONDER_NOEXCEPT;

/* ---- Looking inside ---------------------------------------------------------------------------------------------- */

#define PONDER_EVALUATE_LAST 1u   /* logits of the last position only */
#define PONDER_EVALUATE_HIDDEN 2u /* "hidden.N" (before layer N), "hidden.final_norm": [n, hidden_size] */
#define PONDER_EVALUATE_MOE 4u    /* "moe.N.ids", "moe.N.weights" of layer N: [n, num_experts_per_tok], ascending ids */

typedef int32_t ponder_dtype;
#define PONDER_DTYPE_F32 0
#define PONDER_DTYPE_I32 1

/* A named tensor, row-major; name, data and shape [n_dims] are valid during the call. */
typedef int32_t(PONDER_CALL* ponder_tensor_fn)(void* user_data, const char* name, ponder_dtype dtype, const void* data,
                                               const int64_t* shape, int32_t n_dims);
/**
 * A forward pass over ids in a cache of its own; hands each wanted tensor to on_tensor: "logits" [n_ids, vocab_size] (or
 * [vocab_size] with PONDER_EVALUATE_LAST), and what flags ask for. mtp_next_ids (NULL, or [n_ids]: the token behind each
 * position): also "mtp.logits", shaped as "logits"; PONDER_E_UNSUPPORTED without an MTP layer. The session's own content
 * stays as it is. Experimental
 */
PONDER_API ponder_status PONDER_CALL ponder_session_evaluate(ponder_session* session, const int32_t* ids, size_t n_ids,
                                                             const int32_t* mtp_next_ids, uint32_t flags,
                                                             ponder_tensor_fn on_tensor, void* user_data,
                                                             ponder_error* err) PONDER_NOEXCEPT;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* PONDER_H */
