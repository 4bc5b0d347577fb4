#include "bridge.h"

#include "_cgo_export.h"

static void on_log(void* user_data, ponder_log_level level, const char* message, size_t message_len) {
  ponderGoLog((uintptr_t)user_data, level, (char*)message, message_len);
}
static void on_thread_start(void* user_data, int32_t index) { ponderGoThreadStart((uintptr_t)user_data, index); }
static void on_execute(void* user_data, size_t n_tasks, ponder_task_fn task, void* task_data) {
  ponderGoExecute((uintptr_t)user_data, n_tasks, task, task_data);
}
static void* on_allocate(void* user_data, size_t size, size_t alignment) {
  return ponderGoAllocate((uintptr_t)user_data, size, alignment);
}
static void on_deallocate(void* user_data, void* memory, size_t size, size_t alignment) {
  ponderGoDeallocate((uintptr_t)user_data, memory, size, alignment);
}
static int32_t on_progress(void* user_data, float fraction) { return ponderGoProgress((uintptr_t)user_data, fraction); }
static int32_t on_quantize(void* user_data, uint64_t done_bytes, uint64_t total_bytes, const char* tensor) {
  return ponderGoQuantize((uintptr_t)user_data, done_bytes, total_bytes, (char*)tensor);
}
static int32_t on_imatrix(void* user_data, uint64_t done_chunks, uint64_t n_chunks) {
  return ponderGoImatrix((uintptr_t)user_data, done_chunks, n_chunks);
}
static int32_t on_sample(void* user_data, float* logits, size_t vocab_size, int32_t* out_id) {
  return ponderGoSample((uintptr_t)user_data, logits, vocab_size, out_id);
}
static int32_t on_prefill(void* user_data, size_t n_done, size_t n_total) {
  return ponderGoPrefill((uintptr_t)user_data, n_done, n_total);
}
static int32_t on_token(void* user_data, const ponder_token_event* event) {
  return ponderGoToken((uintptr_t)user_data, (ponder_token_event*)event);
}
static int32_t on_verify(void* user_data, const ponder_sample* sample, double* out_score) {
  return ponderGoVerify((uintptr_t)user_data, (ponder_sample*)sample, out_score);
}
static int32_t on_tensor(void* user_data, const char* name, ponder_dtype dtype, const void* data, const int64_t* shape,
                         int32_t n_dims) {
  return ponderGoTensor((uintptr_t)user_data, (char*)name, dtype, (void*)data, (int64_t*)shape, n_dims);
}
static ponder_status on_open(void* user_data, const char* name, void** out_file, uint64_t* out_size) {
  uintptr_t file = 0;
  ponder_status status = ponderGoOpen((uintptr_t)user_data, (char*)name, &file, out_size);
  *out_file = (void*)file;
  return status;
}
static ponder_status on_read(void* user_data, void* file, uint64_t offset, void* out_bytes, size_t size) {
  (void)user_data;
  return ponderGoRead((uintptr_t)file, offset, out_bytes, size);
}
static void on_close(void* user_data, void* file) {
  (void)user_data;
  ponderGoClose((uintptr_t)file);
}

void bridge_runtime_hooks(ponder_runtime_params* params, uintptr_t handle, int which) {
  if (which & BRIDGE_LOG) {
    params->log = on_log;
    params->log_user_data = (void*)handle;
  }
  if (which & BRIDGE_THREAD) {
    params->on_thread_start = on_thread_start;
    params->thread_user_data = (void*)handle;
  }
  if (which & BRIDGE_EXECUTOR) {
    params->executor = on_execute;
    params->executor_user_data = (void*)handle;
  }
  if (which & BRIDGE_ALLOCATOR) {
    params->allocate = on_allocate;
    params->deallocate = on_deallocate;
    params->allocator_user_data = (void*)handle;
  }
}

void bridge_model_progress(ponder_model_params* params, uintptr_t handle) {
  params->progress = handle ? on_progress : NULL;
  params->progress_user_data = (void*)handle;
}

void bridge_quantize_progress(ponder_quantize_params* params, uintptr_t handle) {
  params->progress = handle ? on_quantize : NULL;
  params->progress_user_data = (void*)handle;
}

void bridge_imatrix_progress(ponder_imatrix_params* params, uintptr_t handle) {
  params->progress = handle ? on_imatrix : NULL;
  params->progress_user_data = (void*)handle;
}

void bridge_sampler(ponder_generate_params* params, uintptr_t handle) {
  params->sampler = handle ? on_sample : NULL;
  params->sampler_user_data = (void*)handle;
}

void bridge_files(ponder_file_system* files, uintptr_t handle) {
  files->user_data = (void*)handle;
  files->open = on_open;
  files->read = on_read;
  files->close = on_close; /* no map: Go's memory may move, and C may not keep it */
}

void bridge_run_task(ponder_task_fn task, void* task_data, size_t index) { task(task_data, index); }

ponder_status bridge_prompt_chat(ponder_session* session, const char* messages_json, size_t messages_json_len,
                                 const char* kwargs_json, size_t kwargs_json_len, uint32_t flags, uintptr_t handle,
                                 ponder_error* err) {
  return ponder_session_prompt_chat(session, messages_json, messages_json_len, kwargs_json, kwargs_json_len, flags,
                                    handle ? on_prefill : NULL, (void*)handle, err);
}

ponder_status bridge_prompt_text(ponder_session* session, const char* text, size_t text_len, uint32_t flags,
                                 uintptr_t handle, ponder_error* err) {
  return ponder_session_prompt_text(session, text, text_len, flags, handle ? on_prefill : NULL, (void*)handle, err);
}

ponder_status bridge_prompt_ids(ponder_session* session, const int32_t* ids, size_t n_ids, uintptr_t handle,
                                ponder_error* err) {
  return ponder_session_prompt_ids(session, ids, n_ids, handle ? on_prefill : NULL, (void*)handle, err);
}

ponder_status bridge_append_ids(ponder_session* session, const int32_t* ids, size_t n_ids, uintptr_t handle,
                                ponder_error* err) {
  return ponder_session_append_ids(session, ids, n_ids, handle ? on_prefill : NULL, (void*)handle, err);
}

ponder_status bridge_generate(ponder_session* session, uintptr_t handle, ponder_error* err) {
  return ponder_session_generate(session, on_token, (void*)handle, err);
}

ponder_status bridge_best_of(ponder_session* session, const ponder_samples_params* params, uintptr_t handle,
                             ponder_buffer** out_json, ponder_error* err) {
  return ponder_session_best_of(session, params, on_verify, (void*)handle, out_json, err);
}

ponder_status bridge_evaluate(ponder_session* session, const int32_t* ids, size_t n_ids, const int32_t* mtp_next_ids,
                              uint32_t flags, uintptr_t handle, ponder_error* err) {
  return ponder_session_evaluate(session, ids, n_ids, mtp_next_ids, flags, on_tensor, (void*)handle, err);
}
