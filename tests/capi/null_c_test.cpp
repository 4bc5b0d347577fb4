// Every pointer that must not be NULL is refused by its name, and out_ handles are NULL afterwards.
#include <functional>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

TEST_CASE("NULL arguments are refused by name") {
  const Tiny tiny;
  const Session owner = tiny.session();
  ponder_tokenizer* tokenizer = nullptr;
  ponder_template* tmpl = nullptr;
  ponder_error err;
  REQUIRE(ponder_model_tokenizer(tiny.model.get(), &tokenizer, &err) == PONDER_OK);
  const Tokenizer tokenizer_owner(tokenizer);
  REQUIRE(ponder_template_builtin("deepseek-r1", &tmpl, &err) == PONDER_OK);
  const Template template_owner(tmpl);
  ponder_runtime* const rt = tiny.runtime.get();
  ponder_model* const md = tiny.model.get();
  ponder_session* const s = owner.get();
  prompt(s);

  ponder_runtime* out_rt;
  ponder_model* out_md;
  ponder_tokenizer* out_tk;
  ponder_template* out_tm;
  ponder_session* out_s;
  ponder_buffer* out_b;
  ponder_batch* out_bt;
  ponder_adapter* out_ad;
  ponder_batch* bt = nullptr;
  REQUIRE(ponder_batch_create(rt, md, nullptr, &bt, &err) == PONDER_OK);
  const std::unique_ptr<ponder_batch, Deleter<ponder_batch, ponder_batch_free>> batch_owner(bt);
  ponder_model_info model_info{};
  model_info.struct_size = sizeof model_info;
  ponder_tokenizer_info tokenizer_info{};
  tokenizer_info.struct_size = sizeof tokenizer_info;
  ponder_memory_plan plan{};
  plan.struct_size = sizeof plan;
  ponder_generate_params gp = ponder_generate_params_default();
  ponder_session_stats stats{};
  stats.struct_size = sizeof stats;
  ponder_token_event event{};
  event.struct_size = sizeof event;
  std::int32_t id = 1;
  std::size_t n = 0;
  const std::size_t one = 1;
  const char* bytes = nullptr;
  float number = 0;
  ponder_status st = 0;
  ponder_session* const list[] = {s};
  const ponder_tensor_fn on_tensor = [](void*, const char*, ponder_dtype, const void*, const std::int64_t*, std::int32_t) { return std::int32_t{0}; };

  struct Call {
    const char* name;
    std::function<ponder_status()> call;
  };
  const std::vector<Call> calls = {
      {"out_runtime", [&] { return ponder_runtime_create(nullptr, nullptr, &err); }},
      {"runtime", [&] { return ponder_model_load(nullptr, "x", nullptr, &out_md, &err); }},
      {"path", [&] { return ponder_model_load(rt, nullptr, nullptr, &out_md, &err); }},
      {"out_model", [&] { return ponder_model_load(rt, "x", nullptr, nullptr, &err); }},
      {"runtime", [&] { return ponder_model_load_memory(nullptr, nullptr, 0, nullptr, &out_md, &err); }},
      {"files", [&] { return ponder_model_load_memory(rt, nullptr, 1, nullptr, &out_md, &err); }},
      {"out_model", [&] { return ponder_model_load_memory(rt, nullptr, 0, nullptr, nullptr, &err); }},
      {"runtime", [&] { return ponder_model_random(nullptr, "{}", 2, "f32", 0, 0, &out_md, &err); }},
      {"config_json", [&] { return ponder_model_random(rt, nullptr, 2, "f32", 0, 0, &out_md, &err); }},
      {"dtype", [&] { return ponder_model_random(rt, "{}", 2, nullptr, 0, 0, &out_md, &err); }},
      {"out_model", [&] { return ponder_model_random(rt, "{}", 2, "f32", 0, 0, nullptr, &err); }},
      {"model", [&] { return ponder_model_get_info(nullptr, &model_info, &err); }},
      {"out_info", [&] { return ponder_model_get_info(md, nullptr, &err); }},
      {"model", [&] { return ponder_model_eos_ids(nullptr, nullptr, 0, &n, &err); }},
      {"out_count", [&] { return ponder_model_eos_ids(md, nullptr, 0, nullptr, &err); }},
      {"model", [&] { return ponder_model_plan(nullptr, nullptr, &plan, &err); }},
      {"out_plan", [&] { return ponder_model_plan(md, nullptr, nullptr, &err); }},
      {"name", [&] { return ponder_model_resolve(nullptr, &out_b, &err); }},
      {"out_path", [&] { return ponder_model_resolve("x", nullptr, &err); }},
      {"out_json", [&] { return ponder_model_list(nullptr, &err); }},
      {"path", [&] { return ponder_inspect(nullptr, nullptr, &out_b, &err); }},
      {"out_json", [&] { return ponder_inspect("x", nullptr, nullptr, &err); }},
      {"files", [&] { return ponder_inspect_memory(nullptr, 1, nullptr, &out_b, &err); }},
      {"out_json", [&] { return ponder_inspect_memory(nullptr, 0, nullptr, nullptr, &err); }},
      {"runtime", [&] { return ponder_imatrix(nullptr, md, "x", 1, "y", nullptr, &out_b, &err); }},
      {"model", [&] { return ponder_imatrix(rt, nullptr, "x", 1, "y", nullptr, &out_b, &err); }},
      {"text", [&] { return ponder_imatrix(rt, md, nullptr, 1, "y", nullptr, &out_b, &err); }},
      {"output_path", [&] { return ponder_imatrix(rt, md, "x", 1, nullptr, nullptr, &out_b, &err); }},
      {"runtime", [&] { return ponder_quantize(nullptr, "x", "y", nullptr, &out_b, &err); }},
      {"path", [&] { return ponder_quantize(rt, nullptr, "y", nullptr, &out_b, &err); }},
      {"output_path", [&] { return ponder_quantize(rt, "x", nullptr, nullptr, &out_b, &err); }},
      {"model", [&] { return ponder_model_load_report(nullptr, &out_b, &err); }},
      {"out_json", [&] { return ponder_model_load_report(md, nullptr, &err); }},
      {"model", [&] { return ponder_model_generate_params(nullptr, &gp, &err); }},
      {"out_params", [&] { return ponder_model_generate_params(md, nullptr, &err); }},
      {"path", [&] { return ponder_tokenizer_load(nullptr, &out_tk, &err); }},
      {"out_tokenizer", [&] { return ponder_tokenizer_load("x", nullptr, &err); }},
      {"model", [&] { return ponder_model_tokenizer(nullptr, &out_tk, &err); }},
      {"out_tokenizer", [&] { return ponder_model_tokenizer(md, nullptr, &err); }},
      {"tokenizer", [&] { return ponder_tokenizer_get_info(nullptr, &tokenizer_info, &err); }},
      {"out_info", [&] { return ponder_tokenizer_get_info(tokenizer, nullptr, &err); }},
      {"tokenizer", [&] { return ponder_tokenizer_encode(nullptr, "", 0, 0, nullptr, 0, &n, &err); }},
      {"text", [&] { return ponder_tokenizer_encode(tokenizer, nullptr, 1, 0, nullptr, 0, &n, &err); }},
      {"out_count", [&] { return ponder_tokenizer_encode(tokenizer, "", 0, 0, nullptr, 0, nullptr, &err); }},
      {"tokenizer", [&] { return ponder_tokenizer_decode(nullptr, &id, 1, 0, &out_b, &err); }},
      {"ids", [&] { return ponder_tokenizer_decode(tokenizer, nullptr, 1, 0, &out_b, &err); }},
      {"out_text", [&] { return ponder_tokenizer_decode(tokenizer, &id, 1, 0, nullptr, &err); }},
      {"tokenizer", [&] { return ponder_tokenizer_find(nullptr, "x", 1, &id, &err); }},
      {"text", [&] { return ponder_tokenizer_find(tokenizer, nullptr, 1, &id, &err); }},
      {"out_id", [&] { return ponder_tokenizer_find(tokenizer, "x", 1, nullptr, &err); }},
      {"tokenizer", [&] { return ponder_tokenizer_token(nullptr, 1, &bytes, &n, nullptr, &err); }},
      {"out_bytes", [&] { return ponder_tokenizer_token(tokenizer, 1, nullptr, &n, nullptr, &err); }},
      {"out_len", [&] { return ponder_tokenizer_token(tokenizer, 1, &bytes, nullptr, nullptr, &err); }},
      {"path", [&] { return ponder_template_load(nullptr, &out_tm, &err); }},
      {"out_template", [&] { return ponder_template_load("x", nullptr, &err); }},
      {"name", [&] { return ponder_template_builtin(nullptr, &out_tm, &err); }},
      {"out_template", [&] { return ponder_template_builtin("x", nullptr, &err); }},
      {"model", [&] { return ponder_model_template(nullptr, &out_tm, &err); }},
      {"out_template", [&] { return ponder_model_template(md, nullptr, &err); }},
      {"chat_template", [&] { return ponder_template_render(nullptr, "[]", 2, nullptr, 0, 0, &out_b, &err); }},
      {"messages_json", [&] { return ponder_template_render(tmpl, nullptr, 2, nullptr, 0, 0, &out_b, &err); }},
      {"kwargs_json", [&] { return ponder_template_render(tmpl, "[]", 2, nullptr, 1, 0, &out_b, &err); }},
      {"out_text", [&] { return ponder_template_render(tmpl, "[]", 2, nullptr, 0, 0, nullptr, &err); }},
      {"runtime", [&] { return ponder_session_create(nullptr, md, nullptr, &out_s, &err); }},
      {"model", [&] { return ponder_session_create(rt, nullptr, nullptr, &out_s, &err); }},
      {"out_session", [&] { return ponder_session_create(rt, md, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_set_params(nullptr, &gp, &err); }},
      {"session", [&] { return ponder_session_set_reasoning(nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_vote(nullptr, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_best_of(nullptr, nullptr, nullptr, nullptr, nullptr, &err); }},
      {"verifier", [&] { return ponder_session_best_of(s, nullptr, nullptr, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_get_params(nullptr, &gp, &err); }},
      {"out_params", [&] { return ponder_session_get_params(s, nullptr, &err); }},
      {"session", [&] { return ponder_session_prompt_chat(nullptr, "[]", 2, nullptr, 0, 0, nullptr, nullptr, &err); }},
      {"messages_json", [&] { return ponder_session_prompt_chat(s, nullptr, 2, nullptr, 0, 0, nullptr, nullptr, &err); }},
      {"kwargs_json", [&] { return ponder_session_prompt_chat(s, "[]", 2, nullptr, 1, 0, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_prompt(nullptr, "x", 1, &err); }},
      {"user_text", [&] { return ponder_session_prompt(s, nullptr, 1, &err); }},
      {"session", [&] { return ponder_session_prompt_text(nullptr, "x", 1, 0, nullptr, nullptr, &err); }},
      {"text", [&] { return ponder_session_prompt_text(s, nullptr, 1, 0, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_prompt_ids(nullptr, &id, 1, nullptr, nullptr, &err); }},
      {"ids", [&] { return ponder_session_prompt_ids(s, nullptr, 1, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_append_ids(nullptr, &id, 1, nullptr, nullptr, &err); }},
      {"ids", [&] { return ponder_session_append_ids(s, nullptr, 1, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_chat_ids(nullptr, "[]", 2, nullptr, 0, 0, nullptr, 0, &n, &err); }},
      {"messages_json", [&] { return ponder_session_chat_ids(s, nullptr, 2, nullptr, 0, 0, nullptr, 0, &n, &err); }},
      {"out_count", [&] { return ponder_session_chat_ids(s, "[]", 2, nullptr, 0, 0, nullptr, 0, nullptr, &err); }},
      {"session", [&] { return ponder_session_next(nullptr, &event, &err); }},
      {"out_event", [&] { return ponder_session_next(s, nullptr, &err); }},
      {"session", [&] { return ponder_session_step(nullptr, 0, &event, &err); }},
      {"out_event", [&] { return ponder_session_step(s, 0, nullptr, &err); }},
      {"sessions", [&] { return ponder_session_next_batch(nullptr, 1, &event, &st, &err); }},
      {"events", [&] { return ponder_session_next_batch(list, 1, nullptr, &st, &err); }},
      {"statuses", [&] { return ponder_session_next_batch(list, 1, &event, nullptr, &err); }},
      {"session", [&] { return ponder_session_generate(nullptr, nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_fork(nullptr, &out_s, &err); }},
      {"out_session", [&] { return ponder_session_fork(s, nullptr, &err); }},
      {"session", [&] { return ponder_session_rewind(nullptr, 0, &err); }},
      {"session", [&] { return ponder_session_save(nullptr, &out_b, &err); }},
      {"out_state", [&] { return ponder_session_save(s, nullptr, &err); }},
      {"session", [&] { return ponder_session_save_file(nullptr, "x", &err); }},
      {"path", [&] { return ponder_session_save_file(s, nullptr, &err); }},
      {"session", [&] { return ponder_session_restore(nullptr, "x", 1, &err); }},
      {"state", [&] { return ponder_session_restore(s, nullptr, 1, &err); }},
      {"session", [&] { return ponder_session_restore_file(nullptr, "x", &err); }},
      {"path", [&] { return ponder_session_restore_file(s, nullptr, &err); }},
      {"session", [&] { return ponder_session_tokens(nullptr, nullptr, 0, &n, &err); }},
      {"out_count", [&] { return ponder_session_tokens(s, nullptr, 0, nullptr, &err); }},
      {"session", [&] { return ponder_session_logits(nullptr, &number, 1, &err); }},
      {"out_logits", [&] { return ponder_session_logits(s, nullptr, 1, &err); }},
      {"session", [&] { return ponder_session_top_logprobs(nullptr, nullptr, 0, &err); }},
      {"out", [&] { return ponder_session_top_logprobs(s, nullptr, 1, &err); }},
      {"session", [&] { return ponder_session_prompt_logprobs(nullptr, &number, 1, &err); }},
      {"out_logprobs", [&] { return ponder_session_prompt_logprobs(s, nullptr, 1, &err); }},
      {"session", [&] { return ponder_session_embed_texts(nullptr, nullptr, 0, 0, 0, nullptr, 0, &n, &err); }},
      {"texts", [&] { return ponder_session_embed_texts(s, nullptr, 1, 0, 0, nullptr, 0, &n, &err); }},
      {"out_count", [&] { return ponder_session_embed_texts(s, nullptr, 0, 0, 0, nullptr, 0, nullptr, &err); }},
      {"session", [&] { return ponder_session_embed_ids(nullptr, nullptr, nullptr, 0, 0, 0, nullptr, 0, &n, &err); }},
      {"lengths", [&] { return ponder_session_embed_ids(s, &id, nullptr, 1, 0, 0, nullptr, 0, &n, &err); }},
      {"ids", [&] { return ponder_session_embed_ids(s, nullptr, &one, 1, 0, 0, &number, 1 << 20, &n, &err); }},
      {"out_count", [&] { return ponder_session_embed_ids(s, &id, &one, 1, 0, 0, nullptr, 0, nullptr, &err); }},
      {"runtime", [&] { return ponder_batch_create(nullptr, md, nullptr, &out_bt, &err); }},
      {"model", [&] { return ponder_batch_create(rt, nullptr, nullptr, &out_bt, &err); }},
      {"out_batch", [&] { return ponder_batch_create(rt, md, nullptr, nullptr, &err); }},
      {"batch", [&] { return ponder_batch_add(nullptr, s, 0, &err); }},
      {"session", [&] { return ponder_batch_add(bt, nullptr, 0, &err); }},
      {"batch", [&] { return ponder_batch_remove(nullptr, s, &err); }},
      {"session", [&] { return ponder_batch_remove(bt, nullptr, &err); }},
      {"batch", [&] { return ponder_batch_set_priority(nullptr, s, 0, &err); }},
      {"session", [&] { return ponder_batch_set_priority(bt, nullptr, 0, &err); }},
      {"batch", [&] { return ponder_batch_set_paused(nullptr, s, 0, &err); }},
      {"session", [&] { return ponder_batch_set_paused(bt, nullptr, 0, &err); }},
      {"batch", [&] { return ponder_batch_next(nullptr, nullptr, 0, &n, &err); }},
      {"out_count", [&] { return ponder_batch_next(bt, nullptr, 0, nullptr, &err); }},
      {"out_events", [&] { return ponder_batch_next(bt, nullptr, 1, &n, &err); }},
      {"batch", [&] { return ponder_batch_step(nullptr, 0, nullptr, 0, &n, &err); }},
      {"runtime", [&] { return ponder_adapter_load(nullptr, md, "x", &out_ad, &err); }},
      {"model", [&] { return ponder_adapter_load(rt, nullptr, "x", &out_ad, &err); }},
      {"path", [&] { return ponder_adapter_load(rt, md, nullptr, &out_ad, &err); }},
      {"out_adapter", [&] { return ponder_adapter_load(rt, md, "x", nullptr, &err); }},
      {"runtime", [&] { return ponder_adapter_load_memory(nullptr, md, nullptr, 0, &out_ad, &err); }},
      {"model", [&] { return ponder_adapter_load_memory(rt, nullptr, nullptr, 0, &out_ad, &err); }},
      {"files", [&] { return ponder_adapter_load_memory(rt, md, nullptr, 1, &out_ad, &err); }},
      {"out_adapter", [&] { return ponder_adapter_load_memory(rt, md, nullptr, 0, nullptr, &err); }},
      {"adapter", [&] { return ponder_adapter_get_info(nullptr, nullptr, &err); }},
      {"session", [&] { return ponder_session_set_grammar(nullptr, PONDER_GRAMMAR_REGEX, "a", 1, &err); }},
      {"text", [&] { return ponder_session_set_grammar(s, PONDER_GRAMMAR_REGEX, nullptr, 1, &err); }},
      {"session", [&] { return ponder_session_set_adapters(nullptr, nullptr, 0, &err); }},
      {"adapters", [&] { return ponder_session_set_adapters(s, nullptr, 1, &err); }},
      {"session", [&] { return ponder_session_get_stats(nullptr, &stats, &err); }},
      {"out_stats", [&] { return ponder_session_get_stats(s, nullptr, &err); }},
      {"session", [&] { return ponder_session_evaluate(nullptr, &id, 1, nullptr, 0, on_tensor, nullptr, &err); }},
      {"ids", [&] { return ponder_session_evaluate(s, nullptr, 1, nullptr, 0, on_tensor, nullptr, &err); }},
      {"on_tensor", [&] { return ponder_session_evaluate(s, &id, 1, nullptr, 0, nullptr, nullptr, &err); }},
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const char* const name = calls[i].name;
    CAPTURE(name);
    CAPTURE(i);
    out_rt = reinterpret_cast<ponder_runtime*>(8);
    out_md = reinterpret_cast<ponder_model*>(8);
    out_tk = reinterpret_cast<ponder_tokenizer*>(8);
    out_tm = reinterpret_cast<ponder_template*>(8);
    out_s = reinterpret_cast<ponder_session*>(8);
    out_b = reinterpret_cast<ponder_buffer*>(8);
    out_bt = reinterpret_cast<ponder_batch*>(8);
    out_ad = reinterpret_cast<ponder_adapter*>(8);
    const ponder_status status = calls[i].call();
    CHECK(status == PONDER_E_INVALID_ARGUMENT);
    CHECK(err.code == PONDER_E_INVALID_ARGUMENT);
    CHECK_MESSAGE(std::string_view(err.message).substr(0, std::string_view(name).size()) == name, err.message);
    // At most one of them was given, and that one is NULL now.
    const void* outs[] = {out_rt, out_md, out_tk, out_tm, out_s, out_b, out_bt, out_ad};
    for (const void* out : outs) CHECK((out == nullptr || out == reinterpret_cast<void*>(8)));
  }
  CHECK(generate(s).answer == "\\boxed{432}");  // none of it touched the session
}
