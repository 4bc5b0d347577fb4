// Models: loading, what they are, what they need.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "capi/values.h"
#include "lib/base/format.h"

namespace {

using namespace ponder;
using core::Code;
using core::Json;
using core::LogLevel;
using core::Status;

// From `source`, or, where it is null, from `path`.
Status load(const capi::Runtime& runtime, std::shared_ptr<const core::FileSource> source, const char* path,
            const ponder_model_params* params, ponder_model** out_model) {
  const core::Log& log = runtime.log;
  ponder_model_params p;
  PONDER_TRY(capi::read_params("ponder_model_params", params, p));
  PONDER_TRY(capi::check_flags("ponder_model_params.flags", p.flags, PONDER_MODEL_NO_MTP));
  core::LoadOptions options;
  options.load_mtp = !(p.flags & PONDER_MODEL_NO_MTP);
  const core::Context ctx = capi::context_of(runtime);
  options.context = &ctx;
  if (p.weight_type) options.weight_type = p.weight_type;
  core::HostAsked progress("progress");
  float reached = 0, reading = 0;  // the part of the load that reading the host's files is
  const auto report = [&](float fraction) {
    reached = std::max(reached, fraction);
    return progress.go_on([&] { return p.progress(p.progress_user_data, reached); });
  };
  if (p.progress) options.progress = [&](float fraction) { return report(reading + (1 - reading) * fraction); };
  if (p.files) {
    if (source) return core::fail(Code::invalid_argument, "ponder_model_params.files: the files are in memory already");
    core::HostFiles files;
    PONDER_TRY(capi::host_files(p.files, files).with_prefix("ponder_model_params.files"));
    core::HostFileOptions reads{runtime.memory, {}};
    reading = 0.8f;
    if (p.progress) reads.progress = [&](float fraction) { return report(reading * fraction); };
    PONDER_ASSIGN(source, core::host_source(files, path, std::move(reads)));
  } else if (!source) {
    source = core::path_source(capi::to_path(path));
  }
  const auto start = std::chrono::steady_clock::now();
  auto loaded = core::Model::load(source, options);
  PONDER_TRY(progress.status(loaded.status()));
  std::shared_ptr<const core::Model> model = std::move(loaded).value();
  const auto ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  for (const std::string& warning : model->load_report().warnings)
    log.write(LogLevel::warning, core::formatted("{}: {}", source->describe(), warning));
  if (log.wants(LogLevel::info))
    log.write(LogLevel::info, core::formatted("{}: {}, {} parameters, {} bytes of weights, loaded in {:.0f} ms",
                                          source->describe(), model->config().architecture_name,
                                          model->summary().n_parameters, model->summary().weight_bytes, ms));
  *out_model = new ponder_model{std::move(model)};
  return {};
}

Json texts(const std::vector<std::string>& list) {
  Json::Array array;
  for (const std::string& text : list) array.emplace_back(text);
  return array;
}

Json counts(const std::vector<std::pair<std::string, std::int64_t>>& list) {
  Json::Object object;
  for (const auto& [name, n] : list) object.emplace_back(name, n);
  return object;
}

// "Q4_K": the type that most of the weights are in.
std::string most_bytes(const std::vector<std::pair<std::string, std::int64_t>>& by_type) {
  const auto most = std::ranges::max_element(by_type, {}, &std::pair<std::string, std::int64_t>::second);
  return most == by_type.end() ? "" : most->first;
}

// What sessions in fast compute would run on, and why it is the CPU.
std::string device_text() {
  const char* name = std::getenv("PONDER_DEVICE");
  const auto choice = core::ops::DeviceChoice::parse(name && *name ? name : "auto");
  if (!choice.ok()) return "cpu (" + choice.status().message() + ")";
  const auto device = (*choice)->device();
  if (!device.ok()) return "cpu (" + device.status().message() + ")";
  const auto info = (*device)->info();
  if (!info.ok()) return (*device)->name();
  return core::formatted("{}, {:.1f} of {:.1f} GB free", (*device)->name(), static_cast<double>(info->free_bytes) / 1e9,
                     static_cast<double>(info->total_bytes) / 1e9);
}

Status inspect(const core::FileSource& source, const ponder_session_params* params, ponder_buffer** out_json) {
  core::SessionParams session;
  PONDER_TRY(capi::to_core(params, session));
  PONDER_ASSIGN(const core::ModelInspection model, core::Model::inspect(source));
  PONDER_ASSIGN(const core::SessionPlan plan, core::Session::plan(model.config, session));
  const core::Config& c = model.config;
  const core::ModelSummary& s = model.summary;
  Json::Object json{{"architecture", c.architecture_name},
                    {"model_type", c.model_type},
                    {"torch_dtype", c.torch_dtype.empty() ? most_bytes(s.bytes_by_dtype) : c.torch_dtype},
                    {"weight_type", most_bytes(s.bytes_by_dtype)},
                    {"parameters", s.n_parameters},
                    {"active_parameters", s.n_active_parameters},
                    {"vocab_size", c.vocab_size},
                    {"hidden_size", c.hidden_size},
                    {"num_hidden_layers", c.num_hidden_layers},
                    {"num_attention_heads", c.num_attention_heads}};
  if (c.is_mla()) {
    json.emplace_back("q_lora_rank", c.q_lora_rank);
    json.emplace_back("kv_lora_rank", c.kv_lora_rank);
    json.emplace_back("qk_rope_head_dim", c.qk_rope_head_dim);
  } else {
    json.emplace_back("num_key_value_heads", c.num_key_value_heads);
    json.emplace_back("head_dim", c.head_dim);
  }
  if (c.n_routed_experts > 0) {
    json.emplace_back("n_routed_experts", c.n_routed_experts);
    json.emplace_back("n_shared_experts", c.n_shared_experts);
    json.emplace_back("num_experts_per_tok", c.num_experts_per_tok);
  }
  json.emplace_back("num_nextn_predict_layers", c.num_nextn_predict_layers);
  json.emplace_back("max_position_embeddings", c.max_position_embeddings);
  json.emplace_back("weight_bytes", s.weight_bytes);
  json.emplace_back("active_weight_bytes", s.active_weight_bytes);
  json.emplace_back("bytes_by_dtype", counts(s.bytes_by_dtype));
  json.emplace_back("bytes_by_component", counts(s.bytes_by_component));
  json.emplace_back("kv_values_per_token_and_layer", c.kv_row_elements());
  json.emplace_back("kv_bytes_per_token", plan.kv_token_bytes);
  json.emplace_back("kv_dtype", core::dtype_name(session.kv_type));
  json.emplace_back("memory_plan",
                    Json::Object{{"context_length", static_cast<std::int64_t>(plan.params.context_length)},
                                 {"weights", s.weight_bytes},
                                 {"kv_cache", plan.kv_bytes},
                                 {"scratch", plan.scratch_bytes},
                                 {"other", plan.other_bytes},
                                 {"total", s.weight_bytes + plan.kv_bytes + plan.scratch_bytes + plan.other_bytes}});
  json.emplace_back("device", device_text());
  json.emplace_back("warnings", texts(model.report.warnings));
  *out_json = capi::new_buffer(core::dump_json(json));
  return {};
}

}  // namespace

ponder_status PONDER_CALL ponder_model_load(ponder_runtime* runtime, const char* path, const ponder_model_params* params,
                                            ponder_model** out_model, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_model", out_model}}));
    *out_model = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}, {"path", path}}));
    return load(*runtime->shared, nullptr, path, params, out_model);
  });
}

ponder_status PONDER_CALL ponder_model_load_memory(ponder_runtime* runtime, const ponder_memory_file* files,
                                                   size_t n_files, const ponder_model_params* params,
                                                   ponder_model** out_model, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_model", out_model}}));
    *out_model = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}}));
    PONDER_TRY(capi::need_array("files", files, n_files));
    std::shared_ptr<const core::FileSource> source;
    PONDER_TRY(capi::memory_files(files, n_files, source));
    return load(*runtime->shared, std::move(source), nullptr, params, out_model);
  });
}

ponder_status PONDER_CALL ponder_model_random(ponder_runtime* runtime, const char* config_json, size_t config_json_len,
                                              const char* dtype, int32_t n_layers, uint64_t seed,
                                              ponder_model** out_model, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_model", out_model}}));
    *out_model = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}, {"config_json", config_json}, {"dtype", dtype}}));
    const std::string_view name = dtype;
    core::DType type = core::DType::f32;
    if (name == "f16") type = core::DType::f16;
    else if (name == "bf16") type = core::DType::bf16;
    else if (name == "fp8") type = core::DType::f8_e4m3;
    else if (name != "f32") return core::fail(Code::invalid_argument, "dtype is '{}', want f32, f16, bf16 or fp8", name);
    if (n_layers < 0) return core::fail(Code::invalid_argument, "n_layers: {}, want 0 or more", n_layers);
    Json config;
    PONDER_TRY(capi::parse_argument("config_json", config_json, config_json_len, config));
    PONDER_ASSIGN(auto model, core::Model::random(config, type, n_layers, seed, runtime->shared->memory));
    *out_model = new ponder_model{std::move(model)};
    return {};
  });
}

void PONDER_CALL ponder_model_free(ponder_model* model) noexcept { delete model; }

ponder_status PONDER_CALL ponder_model_get_info(const ponder_model* model, ponder_model_info* out_info,
                                                ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"model", model}, {"out_info", out_info}}));
    PONDER_TRY(capi::check_out("ponder_model_info", out_info));
    const core::Model& m = *model->shared;
    ponder_model_info info{};
    info.vocab_size = static_cast<int32_t>(m.config().vocab_size);
    info.hidden_size = static_cast<int32_t>(m.config().hidden_size);
    info.num_hidden_layers = static_cast<int32_t>(m.config().num_hidden_layers);
    info.max_position_embeddings = static_cast<int32_t>(m.config().max_position_embeddings);
    info.has_tokenizer = m.tokenizer() != nullptr;
    info.has_chat_template = m.chat_template() != nullptr;
    info.has_mtp = m.weights().mtp != nullptr;
    info.bos_token_id = m.config().bos_token_id;
    info.n_eos_token_ids = static_cast<int32_t>(m.config().eos_token_ids.size());
    info.n_parameters = m.summary().n_parameters;
    info.n_active_parameters = m.summary().n_active_parameters;
    info.weight_bytes = m.summary().weight_bytes;
    info.active_weight_bytes = m.summary().active_weight_bytes;
    info.kv_bytes_per_token = m.summary().kv_bytes_per_token;
    info.fingerprint = m.fingerprint();
    capi::write_out(info, out_info);
    return {};
  });
}

ponder_status PONDER_CALL ponder_model_eos_ids(const ponder_model* model, int32_t* out_ids, size_t capacity,
                                               size_t* out_count, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"model", model}, {"out_count", out_count}}));
    return capi::write_list(model->shared->config().eos_token_ids, out_ids, capacity, out_count);
  });
}

ponder_status PONDER_CALL ponder_model_plan(const ponder_model* model, const ponder_session_params* params,
                                            ponder_memory_plan* out_plan, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"model", model}, {"out_plan", out_plan}}));
    PONDER_TRY(capi::check_out("ponder_memory_plan", out_plan));
    core::SessionParams session;
    PONDER_TRY(capi::to_core(params, session));
    PONDER_ASSIGN(const core::SessionPlan p, core::Session::plan(model->shared->config(), session));
    ponder_memory_plan plan{};
    plan.context_length = static_cast<int64_t>(p.params.context_length);
    plan.weight_bytes = model->shared->memory_bytes();
    plan.kv_bytes = p.kv_bytes;
    plan.scratch_bytes = p.scratch_bytes;
    plan.other_bytes = model->shared->other_bytes() + p.other_bytes;
    plan.total_bytes = plan.weight_bytes + plan.kv_bytes + plan.scratch_bytes + plan.other_bytes;
    capi::write_out(plan, out_plan);
    return {};
  });
}

ponder_status PONDER_CALL ponder_inspect(const char* path, const ponder_session_params* params, ponder_buffer** out_json,
                                         ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_json", out_json}}));
    *out_json = nullptr;
    PONDER_TRY(capi::need({{"path", path}}));
    return inspect(*core::path_source(capi::to_path(path)), params, out_json);
  });
}

ponder_status PONDER_CALL ponder_inspect_files(const ponder_file_system* files, const char* path,
                                               const ponder_session_params* params, ponder_buffer** out_json,
                                               ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_json", out_json}}));
    *out_json = nullptr;
    PONDER_TRY(capi::need({{"path", path}}));
    core::HostFiles host;
    PONDER_TRY(capi::host_files(files, host));
    PONDER_ASSIGN(const auto source, core::host_source(host, path, {.in_parts = true}));
    return inspect(*source, params, out_json);
  });
}

ponder_status PONDER_CALL ponder_inspect_memory(const ponder_memory_file* files, size_t n_files,
                                                const ponder_session_params* params, ponder_buffer** out_json,
                                                ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_json", out_json}}));
    *out_json = nullptr;
    PONDER_TRY(capi::need_array("files", files, n_files));
    std::shared_ptr<const core::FileSource> source;
    PONDER_TRY(capi::memory_files(files, n_files, source));
    return inspect(*source, params, out_json);
  });
}

ponder_status PONDER_CALL ponder_model_load_report(const ponder_model* model, ponder_buffer** out_json,
                                                   ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_json", out_json}}));
    *out_json = nullptr;
    PONDER_TRY(capi::need({{"model", model}}));
    *out_json = capi::new_buffer(core::dump_json(texts(model->shared->load_report().warnings)));
    return {};
  });
}

ponder_status PONDER_CALL ponder_model_generate_params(const ponder_model* model, ponder_generate_params* out_params,
                                                       ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"model", model}, {"out_params", out_params}}));
    PONDER_TRY(capi::check_out("ponder_generate_params", out_params));
    const core::GenerationConfig& g = model->shared->generation_config();
    ponder_generate_params p = ponder_generate_params_default();
    if (g.do_sample) {
      p.temperature = g.temperature < 0 ? 1.0f : static_cast<float>(g.temperature);
      if (g.top_p > 0) p.top_p = static_cast<float>(g.top_p);
      if (g.top_k > 0) p.top_k = static_cast<int32_t>(g.top_k);
    }
    if (g.max_new_tokens > 0) p.max_new_tokens = g.max_new_tokens;
    capi::write_out(p, out_params);
    return {};
  });
}
