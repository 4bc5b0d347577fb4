// Models written as GGUF files, and importance matrices for them.
#include "capi/values.h"
#include "lib/base/format.h"
#include "lib/io/mapped_file.h"
#include "lib/model/collect_importance.h"
#include "lib/model/quantize_model.h"

using namespace ponder;
using core::Json;
using core::Status;

namespace {

Json number(std::uint64_t n) { return static_cast<std::int64_t>(n); }

}  // namespace

ponder_status PONDER_CALL ponder_quantize(ponder_runtime* runtime, const char* path, const char* output_path,
                                          const ponder_quantize_params* params, ponder_buffer** out_json,
                                          ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    if (out_json) *out_json = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}, {"path", path}, {"output_path", output_path}}));
    ponder_quantize_params p;
    PONDER_TRY(capi::read_params("ponder_quantize_params", params, p));
    PONDER_TRY(capi::check_flags("ponder_quantize_params.flags", p.flags, 0));
    core::QuantizeOptions options;
    if (p.type) options.type = p.type;
    core::MemoryCharge importance_bytes(runtime->shared->memory, core::MemoryUse::other);
    core::Importance importance;
    if (p.imatrix_path) {
      const std::filesystem::path file = capi::to_path(p.imatrix_path);
      PONDER_ASSIGN(const std::shared_ptr<const core::MappedFile> mapped, core::MappedFile::open(file));
      PONDER_TRY(importance_bytes.raise_to(2 * mapped->bytes().size()).with_prefix("imatrix"));
      PONDER_ASSIGN(importance, core::read_importance({mapped->name(), mapped->bytes(), mapped}));
      options.importance = &importance;
    }
    core::HostAsked progress("progress");
    if (p.progress)
      options.progress = [&](const core::QuantizeProgress& at) {
        const std::string tensor(at.tensor);
        return progress.go_on(
            [&] { return p.progress(p.progress_user_data, at.done_bytes, at.total_bytes, tensor.c_str()); });
      };
    std::shared_ptr<const core::FileSource> source;
    if (p.files) {
      core::HostFiles files;
      PONDER_TRY(capi::host_files(p.files, files).with_prefix("ponder_quantize_params.files"));
      PONDER_ASSIGN(source, core::host_source(files, path, {runtime->shared->memory, {}}));
    } else {
      source = core::path_source(capi::to_path(path));
    }
    const auto written = core::quantize_model(capi::context_of(*runtime->shared), *source, capi::to_path(output_path), options);
    PONDER_TRY(progress.status(written.status()));
    const core::QuantizeReport& report = *written;
    if (!out_json) return {};
    Json::Object bytes;
    for (const auto& [type, n] : report.bytes_by_type) bytes.emplace_back(type, n);
    Json::Array warnings;
    for (const std::string& warning : report.warnings) warnings.emplace_back(warning);
    *out_json = capi::new_buffer(core::dump_json(Json::Object{{"file_bytes", number(report.file_bytes)},
                                                              {"n_tensors", number(report.n_tensors)},
                                                              {"bytes_by_type", std::move(bytes)},
                                                              {"warnings", std::move(warnings)}}));
    return {};
  });
}

ponder_status PONDER_CALL ponder_imatrix(ponder_runtime* runtime, const ponder_model* model, const char* text,
                                         size_t text_len, const char* output_path, const ponder_imatrix_params* params,
                                         ponder_buffer** out_json, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    if (out_json) *out_json = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}, {"model", model}, {"output_path", output_path}}));
    PONDER_TRY(capi::need_array("text", text, text_len));
    ponder_imatrix_params p;
    PONDER_TRY(capi::read_params("ponder_imatrix_params", params, p));
    PONDER_TRY(capi::check_flags("ponder_imatrix_params.flags", p.flags, 0));
    if (p.chunk_tokens < 0 || p.max_chunks < 0)
      return core::fail(core::Code::invalid_argument, "chunk_tokens {}, max_chunks {}: want 0 or more", p.chunk_tokens,
                        p.max_chunks);
    core::CollectOptions options;
    if (p.chunk_tokens > 0) options.chunk_tokens = static_cast<std::size_t>(p.chunk_tokens);
    options.max_chunks = static_cast<std::size_t>(p.max_chunks);
    core::HostAsked progress("progress");
    if (p.progress)
      options.progress = [&](std::size_t done, std::size_t n) {
        return progress.go_on([&] { return p.progress(p.progress_user_data, done, n); });
      };
    const core::Model& m = *model->shared;
    if (!m.tokenizer()) return m.tokenizer_status();
    core::MemoryCharge text_bytes(runtime->shared->memory, core::MemoryUse::other);
    PONDER_TRY(text_bytes.raise_to(core::Tokenizer::kEncodeBytes * text_len).with_prefix("text"));
    PONDER_ASSIGN(const std::vector<core::TokenId> ids, m.tokenizer()->encode({text, text_len}, {}));
    text_bytes.lower_to(ids.capacity() * sizeof(core::TokenId));
    PONDER_ASSIGN(std::unique_ptr<core::OutputFile> output, core::create_file(capi::to_path(output_path)));
    const auto collected = core::collect_importance(capi::context_of(*runtime->shared), m, ids, std::move(output), options);
    PONDER_TRY(progress.status(collected.status()));
    const core::CollectReport& report = *collected;
    if (out_json)
      *out_json = capi::new_buffer(core::dump_json(Json::Object{{"n_chunks", number(report.n_chunks)},
                                                                {"n_tensors", number(report.n_tensors)},
                                                                {"unreached_experts", number(report.unreached_experts)}}));
    return {};
  });
}
