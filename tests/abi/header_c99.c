/* ponder.h is C99: compiled with -pedantic -Werror. Every function that it declares is in this table, which the linker
 * must resolve; declared_test.cmake compares its length with the header. */
#include "ponder/ponder.h"

typedef void (*any_function)(void);
#define F(name) (any_function) name
const any_function ponder_functions[] = {
    F(ponder_status_name), F(ponder_version), F(ponder_abi_version), F(ponder_buffer_data), F(ponder_buffer_size),
    F(ponder_buffer_free), F(ponder_runtime_create), F(ponder_runtime_free), F(ponder_runtime_isa),
    F(ponder_runtime_threads), F(ponder_runtime_memory), F(ponder_selftest), F(ponder_model_list), F(ponder_model_resolve), F(ponder_model_load), F(ponder_model_load_memory), F(ponder_model_random),
    F(ponder_model_free), F(ponder_model_get_info), F(ponder_model_eos_ids), F(ponder_model_plan), F(ponder_inspect), F(ponder_inspect_files), F(ponder_tokenizer_load_files), F(ponder_template_load_files),
    F(ponder_inspect_memory), F(ponder_model_load_report), F(ponder_tokenizer_load), F(ponder_model_tokenizer),
    F(ponder_tokenizer_free), F(ponder_tokenizer_get_info), F(ponder_tokenizer_encode), F(ponder_tokenizer_decode),
    F(ponder_tokenizer_find), F(ponder_tokenizer_token), F(ponder_template_load), F(ponder_template_builtin),
    F(ponder_model_template), F(ponder_template_free), F(ponder_template_render), F(ponder_model_generate_params),
    F(ponder_session_create), F(ponder_session_free), F(ponder_session_set_params), F(ponder_session_get_params),
    F(ponder_session_prompt_chat), F(ponder_session_prompt), F(ponder_session_prompt_text), F(ponder_session_prompt_ids),
    F(ponder_session_append_ids), F(ponder_session_chat_ids), F(ponder_session_next), F(ponder_session_step),
    F(ponder_session_next_batch), F(ponder_session_generate), F(ponder_session_cancel), F(ponder_session_finish_reason),
    F(ponder_session_next_channel), F(ponder_session_fork), F(ponder_session_rewind), F(ponder_session_save),
    F(ponder_session_save_file), F(ponder_session_restore), F(ponder_session_restore_file), F(ponder_session_tokens),
    F(ponder_session_logits), F(ponder_session_top_logprobs), F(ponder_session_prompt_logprobs),
    F(ponder_session_get_stats), F(ponder_session_evaluate), F(ponder_session_embed_texts),
    F(ponder_session_embed_ids), F(ponder_batch_create), F(ponder_batch_free), F(ponder_batch_add), F(ponder_batch_remove),
    F(ponder_batch_set_priority), F(ponder_batch_set_paused), F(ponder_batch_next), F(ponder_batch_step),
    F(ponder_adapter_load), F(ponder_adapter_load_memory), F(ponder_adapter_free), F(ponder_adapter_get_info),
    F(ponder_session_set_adapters), F(ponder_session_set_grammar), F(ponder_session_set_reasoning), F(ponder_session_stop_thinking), F(ponder_session_vote), F(ponder_session_best_of), F(ponder_quantize), F(ponder_imatrix)};
const unsigned ponder_n_functions = sizeof ponder_functions / sizeof *ponder_functions;

int main(void) {
  /* The inline functions work from C, and the loaded library is the one that the header belongs to. */
  ponder_runtime_params runtime = ponder_runtime_params_default();
  ponder_model_params model = ponder_model_params_default();
  ponder_session_params session = ponder_session_params_default();
  ponder_generate_params generate = ponder_generate_params_r1();
  unsigned i;
  for (i = 0; i < ponder_n_functions; ++i)
    if (!ponder_functions[i]) return 1;
  if (runtime.struct_size != sizeof runtime || model.struct_size != sizeof model) return 2;
  if (session.struct_size != sizeof session || generate.struct_size != sizeof generate) return 2;
  if (generate.temperature != 0.6f || generate.top_p != 0.95f) return 3;
  if (ponder_abi_version() != PONDER_ABI_VERSION || strcmp(ponder_version(), PONDER_VERSION_STRING) != 0) return 4;
  return 0;
}
