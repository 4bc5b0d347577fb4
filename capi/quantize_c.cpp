// Models written as GGUF files.
#include "capi/values.h"
#include "lib/io/mapped_file.h"
#include "lib/model/quantize_model.h"

using namespace ponder;
using core::Json;
using core::Status;

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
    core::Importance importance;
    if (p.imatrix_path) {
      const std::filesystem::path file = capi::to_path(p.imatrix_path);
      PONDER_ASSIGN(const std::shared_ptr<const core::MappedFile> mapped, core::MappedFile::open(file));
      PONDER_ASSIGN(importance, core::read_importance({mapped->name(), mapped->bytes(), mapped}));
      options.importance = &importance;
    }
    if (p.progress)
      options.progress = [&p](const core::QuantizeProgress& at) {
        return p.progress(p.progress_user_data, at.done_bytes, at.total_bytes, std::string(at.tensor).c_str()) == 0;
      };
    core::Context ctx;
    ctx.kernels = &runtime->shared->kernels;
    ctx.pool = runtime->shared->pool.get();
    PONDER_ASSIGN(const core::QuantizeReport report,
                  core::quantize_model(ctx, *core::path_source(capi::to_path(path)), capi::to_path(output_path), options));
    if (!out_json) return {};
    Json::Object bytes;
    for (const auto& [type, n] : report.bytes_by_type) bytes.emplace_back(type, n);
    Json::Array warnings;
    for (const std::string& warning : report.warnings) warnings.emplace_back(warning);
    *out_json = capi::new_buffer(core::dump_json(Json::Object{{"file_bytes", static_cast<std::int64_t>(report.file_bytes)},
                                                              {"n_tensors", static_cast<std::int64_t>(report.n_tensors)},
                                                              {"bytes_by_type", std::move(bytes)},
                                                              {"warnings", std::move(warnings)}}));
    return {};
  });
}
