/* What Go cannot say in cgo: functions of the host as pointers, handles as user data. A handle of 0 means no function. */
#ifndef PONDER_GO_BRIDGE_H
#define PONDER_GO_BRIDGE_H

#include <stdint.h>

#include "ponder/ponder.h"

#define BRIDGE_LOG 1
#define BRIDGE_THREAD 2
#define BRIDGE_EXECUTOR 4
#define BRIDGE_ALLOCATOR 8

void bridge_runtime_hooks(ponder_runtime_params* params, uintptr_t handle, int which);
void bridge_model_progress(ponder_model_params* params, uintptr_t handle);
void bridge_quantize_progress(ponder_quantize_params* params, uintptr_t handle);
void bridge_imatrix_progress(ponder_imatrix_params* params, uintptr_t handle);
void bridge_sampler(ponder_generate_params* params, uintptr_t handle);
void bridge_files(ponder_file_system* files, uintptr_t handle);
void bridge_run_task(ponder_task_fn task, void* task_data, size_t index);

ponder_status bridge_prompt_chat(ponder_session* session, const char* messages_json, size_t messages_json_len,
                                 const char* kwargs_json, size_t kwargs_json_len, uint32_t flags, uintptr_t handle,
                                 ponder_error* err);
ponder_status bridge_prompt_text(ponder_session* session, const char* text, size_t text_len, uint32_t flags,
                                 uintptr_t handle, ponder_error* err);
ponder_status bridge_prompt_ids(ponder_session* session, const int32_t* ids, size_t n_ids, uintptr_t handle,
                                ponder_error* err);
ponder_status bridge_append_ids(ponder_session* session, const int32_t* ids, size_t n_ids, uintptr_t handle,
                                ponder_error* err);
ponder_status bridge_generate(ponder_session* session, uintptr_t handle, ponder_error* err);
ponder_status bridge_best_of(ponder_session* session, const ponder_samples_params* params, uintptr_t handle,
                             ponder_buffer** out_json, ponder_error* err);
ponder_status bridge_evaluate(ponder_session* session, const int32_t* ids, size_t n_ids, const int32_t* mtp_next_ids,
                              uint32_t flags, uintptr_t handle, ponder_error* err);

#endif
