// Where every field of ponder.h lies, on 64-bit platforms: no hidden padding, and released fields never move. A new field
// brings a new line; an old line never changes within one SOVERSION.
#include <cstddef>

#include "ponder/ponder.h"

#if SIZE_MAX > 0xffffffffu

#define FIELD(type, field, offset) static_assert(offsetof(type, field) == offset, #type "." #field)
#define SIZE(type, size) static_assert(sizeof(type) == size, #type)

SIZE(ponder_error, 512);
FIELD(ponder_error, code, 0);
FIELD(ponder_error, message, 4);

SIZE(ponder_runtime_params, 104);
FIELD(ponder_runtime_params, struct_size, 0);
FIELD(ponder_runtime_params, n_threads, 4);
FIELD(ponder_runtime_params, max_isa, 8);
FIELD(ponder_runtime_params, log, 16);
FIELD(ponder_runtime_params, log_user_data, 24);
FIELD(ponder_runtime_params, log_level, 32);
FIELD(ponder_runtime_params, flags, 36);
FIELD(ponder_runtime_params, on_thread_start, 40);
FIELD(ponder_runtime_params, thread_user_data, 48);
FIELD(ponder_runtime_params, executor, 56);
FIELD(ponder_runtime_params, executor_user_data, 64);
FIELD(ponder_runtime_params, memory_limit, 72);
FIELD(ponder_runtime_params, allocate, 80);
FIELD(ponder_runtime_params, deallocate, 88);
FIELD(ponder_runtime_params, allocator_user_data, 96);

SIZE(ponder_memory_info, 64);
FIELD(ponder_memory_info, struct_size, 0);
FIELD(ponder_memory_info, flags, 4);
FIELD(ponder_memory_info, limit_bytes, 8);
FIELD(ponder_memory_info, used_bytes, 16);
FIELD(ponder_memory_info, peak_bytes, 24);
FIELD(ponder_memory_info, weight_bytes, 32);
FIELD(ponder_memory_info, kv_bytes, 40);
FIELD(ponder_memory_info, scratch_bytes, 48);
FIELD(ponder_memory_info, other_bytes, 56);

SIZE(ponder_session_params, 56);
FIELD(ponder_session_params, struct_size, 0);
FIELD(ponder_session_params, flags, 4);
FIELD(ponder_session_params, context_length, 8);
FIELD(ponder_session_params, n_threads, 16);
FIELD(ponder_session_params, prefill_chunk, 20);
FIELD(ponder_session_params, compute, 24);
FIELD(ponder_session_params, kv_type, 28);
FIELD(ponder_session_params, prompt_cache, 32);
FIELD(ponder_session_params, prompt_cache_bytes, 40);
FIELD(ponder_session_params, prompt_cache_min_tokens, 48);
FIELD(ponder_session_params, reserved, 52);

SIZE(ponder_adapter_info, 32);
FIELD(ponder_adapter_info, struct_size, 0);
FIELD(ponder_adapter_info, max_rank, 4);
FIELD(ponder_adapter_info, n_weights, 8);
FIELD(ponder_adapter_info, n_parameters, 16);
FIELD(ponder_adapter_info, fingerprint, 24);

SIZE(ponder_adapter_use, 16);
FIELD(ponder_adapter_use, adapter, 0);
FIELD(ponder_adapter_use, scale, 8);
FIELD(ponder_adapter_use, flags, 12);

SIZE(ponder_batch_params, 16);
FIELD(ponder_batch_params, struct_size, 0);
FIELD(ponder_batch_params, flags, 4);
FIELD(ponder_batch_params, token_budget, 8);
FIELD(ponder_batch_params, n_threads, 12);

SIZE(ponder_batch_event, 32);
FIELD(ponder_batch_event, struct_size, 0);
FIELD(ponder_batch_event, status, 4);
FIELD(ponder_batch_event, session, 8);
FIELD(ponder_batch_event, token, 16);
FIELD(ponder_batch_event, message, 24);

SIZE(ponder_model_params, 40);
FIELD(ponder_model_params, struct_size, 0);
FIELD(ponder_model_params, flags, 4);
FIELD(ponder_model_params, progress, 8);
FIELD(ponder_model_params, progress_user_data, 16);
FIELD(ponder_model_params, weight_type, 24);
FIELD(ponder_model_params, files, 32);

SIZE(ponder_file_system, 48);
FIELD(ponder_file_system, struct_size, 0);
FIELD(ponder_file_system, flags, 4);
FIELD(ponder_file_system, user_data, 8);
FIELD(ponder_file_system, open, 16);
FIELD(ponder_file_system, read, 24);
FIELD(ponder_file_system, close, 32);
FIELD(ponder_file_system, map, 40);

SIZE(ponder_quantize_params, 48);
FIELD(ponder_quantize_params, struct_size, 0);
FIELD(ponder_quantize_params, flags, 4);
FIELD(ponder_quantize_params, type, 8);
FIELD(ponder_quantize_params, imatrix_path, 16);
FIELD(ponder_quantize_params, progress, 24);
FIELD(ponder_quantize_params, progress_user_data, 32);
FIELD(ponder_quantize_params, files, 40);

SIZE(ponder_imatrix_params, 32);
FIELD(ponder_imatrix_params, struct_size, 0);
FIELD(ponder_imatrix_params, flags, 4);
FIELD(ponder_imatrix_params, chunk_tokens, 8);
FIELD(ponder_imatrix_params, max_chunks, 12);
FIELD(ponder_imatrix_params, progress, 16);
FIELD(ponder_imatrix_params, progress_user_data, 24);

SIZE(ponder_memory_file, 24);
FIELD(ponder_memory_file, name, 0);
FIELD(ponder_memory_file, data, 8);
FIELD(ponder_memory_file, size, 16);

SIZE(ponder_model_info, 88);
FIELD(ponder_model_info, struct_size, 0);
FIELD(ponder_model_info, vocab_size, 4);
FIELD(ponder_model_info, hidden_size, 8);
FIELD(ponder_model_info, num_hidden_layers, 12);
FIELD(ponder_model_info, max_position_embeddings, 16);
FIELD(ponder_model_info, has_tokenizer, 20);
FIELD(ponder_model_info, has_chat_template, 24);
FIELD(ponder_model_info, has_mtp, 28);
FIELD(ponder_model_info, bos_token_id, 32);
FIELD(ponder_model_info, n_eos_token_ids, 36);
FIELD(ponder_model_info, n_parameters, 40);
FIELD(ponder_model_info, n_active_parameters, 48);
FIELD(ponder_model_info, weight_bytes, 56);
FIELD(ponder_model_info, kv_bytes_per_token, 64);
FIELD(ponder_model_info, fingerprint, 72);
FIELD(ponder_model_info, active_weight_bytes, 80);

SIZE(ponder_memory_plan, 56);
FIELD(ponder_memory_plan, struct_size, 0);
FIELD(ponder_memory_plan, flags, 4);
FIELD(ponder_memory_plan, context_length, 8);
FIELD(ponder_memory_plan, weight_bytes, 16);
FIELD(ponder_memory_plan, kv_bytes, 24);
FIELD(ponder_memory_plan, scratch_bytes, 32);
FIELD(ponder_memory_plan, total_bytes, 40);
FIELD(ponder_memory_plan, other_bytes, 48);

SIZE(ponder_tokenizer_info, 32);
FIELD(ponder_tokenizer_info, struct_size, 0);
FIELD(ponder_tokenizer_info, n_ids, 4);
FIELD(ponder_tokenizer_info, bos_token_id, 8);
FIELD(ponder_tokenizer_info, eos_token_id, 12);
FIELD(ponder_tokenizer_info, think_start_id, 16);
FIELD(ponder_tokenizer_info, think_end_id, 20);
FIELD(ponder_tokenizer_info, adds_bos, 24);
FIELD(ponder_tokenizer_info, has_chat_template, 28);

SIZE(ponder_logit_bias, 8);
FIELD(ponder_logit_bias, id, 0);
FIELD(ponder_logit_bias, bias, 4);

SIZE(ponder_text, 16);
FIELD(ponder_text, data, 0);
FIELD(ponder_text, size, 8);

SIZE(ponder_logprob, 8);
FIELD(ponder_logprob, id, 0);
FIELD(ponder_logprob, logprob, 4);

SIZE(ponder_generate_params, 184);
FIELD(ponder_generate_params, struct_size, 0);
FIELD(ponder_generate_params, flags, 4);
FIELD(ponder_generate_params, max_new_tokens, 8);
FIELD(ponder_generate_params, think_budget, 16);
FIELD(ponder_generate_params, context_keep, 24);
FIELD(ponder_generate_params, seed, 32);
FIELD(ponder_generate_params, temperature, 40);
FIELD(ponder_generate_params, top_k, 44);
FIELD(ponder_generate_params, top_p, 48);
FIELD(ponder_generate_params, min_p, 52);
FIELD(ponder_generate_params, typical_p, 56);
FIELD(ponder_generate_params, top_n_sigma, 60);
FIELD(ponder_generate_params, xtc_probability, 64);
FIELD(ponder_generate_params, xtc_threshold, 68);
FIELD(ponder_generate_params, mirostat, 72);
FIELD(ponder_generate_params, mirostat_tau, 76);
FIELD(ponder_generate_params, mirostat_eta, 80);
FIELD(ponder_generate_params, repetition_penalty, 84);
FIELD(ponder_generate_params, presence_penalty, 88);
FIELD(ponder_generate_params, frequency_penalty, 92);
FIELD(ponder_generate_params, penalty_last_n, 96);
FIELD(ponder_generate_params, dry_multiplier, 100);
FIELD(ponder_generate_params, dry_base, 104);
FIELD(ponder_generate_params, dry_allowed_length, 108);
FIELD(ponder_generate_params, dry_last_n, 112);
FIELD(ponder_generate_params, n_top_logprobs, 116);
FIELD(ponder_generate_params, logit_bias, 120);
FIELD(ponder_generate_params, n_logit_bias, 128);
FIELD(ponder_generate_params, stop, 136);
FIELD(ponder_generate_params, n_stop, 144);
FIELD(ponder_generate_params, stop_ids, 152);
FIELD(ponder_generate_params, n_stop_ids, 160);
FIELD(ponder_generate_params, sampler, 168);
FIELD(ponder_generate_params, sampler_user_data, 176);

SIZE(ponder_token_event, 56);
FIELD(ponder_token_event, struct_size, 0);
FIELD(ponder_token_event, id, 4);
FIELD(ponder_token_event, channel, 8);
FIELD(ponder_token_event, forced, 12);
FIELD(ponder_token_event, text, 16);
FIELD(ponder_token_event, text_len, 24);
FIELD(ponder_token_event, top_logprobs, 32);
FIELD(ponder_token_event, n_top_logprobs, 40);
FIELD(ponder_token_event, logprob, 48);
FIELD(ponder_token_event, flags, 52);

SIZE(ponder_reasoning_params, 104);
FIELD(ponder_reasoning_params, struct_size, 0);
FIELD(ponder_reasoning_params, flags, 4);
FIELD(ponder_reasoning_params, effort, 8);
FIELD(ponder_reasoning_params, grace, 12);
FIELD(ponder_reasoning_params, turn_budget, 16);
FIELD(ponder_reasoning_params, block_budget, 24);
FIELD(ponder_reasoning_params, answer_reserve, 32);
FIELD(ponder_reasoning_params, min_tokens, 40);
FIELD(ponder_reasoning_params, max_waits, 48);
FIELD(ponder_reasoning_params, wait_text, 56);
FIELD(ponder_reasoning_params, message, 64);
FIELD(ponder_reasoning_params, early_exit, 72);
FIELD(ponder_reasoning_params, confidence, 76);
FIELD(ponder_reasoning_params, probe_every, 80);
FIELD(ponder_reasoning_params, probe_agree, 84);
FIELD(ponder_reasoning_params, probe_tokens, 88);
FIELD(ponder_reasoning_params, probe_max, 92);
FIELD(ponder_reasoning_params, probe_text, 96);

SIZE(ponder_samples_params, 32);
FIELD(ponder_samples_params, struct_size, 0);
FIELD(ponder_samples_params, flags, 4);
FIELD(ponder_samples_params, n, 8);
FIELD(ponder_samples_params, n_parallel, 12);
FIELD(ponder_samples_params, place, 16);
FIELD(ponder_samples_params, reserved, 20);
FIELD(ponder_samples_params, threshold, 24);

SIZE(ponder_sample, 88);
FIELD(ponder_sample, index, 0);
FIELD(ponder_sample, thinking, 8);
FIELD(ponder_sample, answer, 24);
FIELD(ponder_sample, extracted, 40);
FIELD(ponder_sample, ids, 56);
FIELD(ponder_sample, n_ids, 64);
FIELD(ponder_sample, mean_logprob, 72);
FIELD(ponder_sample, finish, 80);
FIELD(ponder_sample, think_end, 84);

SIZE(ponder_session_stats, 112);
FIELD(ponder_session_stats, struct_size, 0);
FIELD(ponder_session_stats, flags, 4);
FIELD(ponder_session_stats, context_length, 8);
FIELD(ponder_session_stats, n_tokens, 16);
FIELD(ponder_session_stats, prompt_tokens, 24);
FIELD(ponder_session_stats, reused_tokens, 32);
FIELD(ponder_session_stats, thinking_tokens, 40);
FIELD(ponder_session_stats, answer_tokens, 48);
FIELD(ponder_session_stats, forced_tokens, 56);
FIELD(ponder_session_stats, kv_bytes, 64);
FIELD(ponder_session_stats, scratch_bytes, 72);
FIELD(ponder_session_stats, prefill_ms, 80);
FIELD(ponder_session_stats, decode_ms, 88);
FIELD(ponder_session_stats, think_end, 96);
FIELD(ponder_session_stats, n_waits, 100);
FIELD(ponder_session_stats, probe_tokens, 104);

#endif
