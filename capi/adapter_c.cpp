// LoRA adapters: loading, and what a session attaches.
#include "capi/session_call.h"
#include "lib/base/format.h"

namespace {

using namespace ponder;
using core::Code;
using core::Status;

ponder_status load(ponder_runtime* runtime, ponder_model* model, const char* source_name, const void* source_argument,
                   ponder_adapter** out_adapter, ponder_error* err,
                   Status (*open)(const void* argument, std::size_t n, std::shared_ptr<const core::FileSource>& out),
                   std::size_t n) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_adapter", out_adapter}}));
    *out_adapter = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}, {"model", model}, {source_name, source_argument}}));
    std::shared_ptr<const core::FileSource> source;
    PONDER_TRY(open(source_argument, n, source));
    auto handle = std::make_unique<ponder_adapter>();
    PONDER_ASSIGN(handle->shared, core::Adapter::load(model->shared, *source, runtime->shared->memory));
    *out_adapter = handle.release();
    return {};
  });
}

}  // namespace

ponder_status PONDER_CALL ponder_adapter_load(ponder_runtime* runtime, ponder_model* model, const char* path,
                                              ponder_adapter** out_adapter, ponder_error* err) noexcept {
  const auto open = [](const void* argument, std::size_t, std::shared_ptr<const core::FileSource>& out) -> Status {
    out = core::folder_source(capi::to_path(static_cast<const char*>(argument)));
    return {};
  };
  return load(runtime, model, "path", path, out_adapter, err, open, 0);
}

ponder_status PONDER_CALL ponder_adapter_load_memory(ponder_runtime* runtime, ponder_model* model,
                                                     const ponder_memory_file* files, size_t n_files,
                                                     ponder_adapter** out_adapter, ponder_error* err) noexcept {
  const auto open = [](const void* argument, std::size_t n, std::shared_ptr<const core::FileSource>& out) {
    return capi::memory_files(static_cast<const ponder_memory_file*>(argument), n, out);
  };
  return load(runtime, model, "files", files, out_adapter, err, open, n_files);
}

void PONDER_CALL ponder_adapter_free(ponder_adapter* adapter) noexcept { delete adapter; }

ponder_status PONDER_CALL ponder_adapter_get_info(const ponder_adapter* adapter, ponder_adapter_info* out_info,
                                                  ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"adapter", adapter}, {"out_info", out_info}}));
    PONDER_TRY(capi::check_out("ponder_adapter_info", out_info));
    ponder_adapter_info info{};
    info.max_rank = static_cast<int32_t>(adapter->shared->max_rank());
    info.n_weights = static_cast<int64_t>(adapter->shared->parts().size());
    info.n_parameters = adapter->shared->n_parameters();
    info.fingerprint = adapter->shared->fingerprint();
    capi::write_out(info, out_info);
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_set_adapters(ponder_session* session, const ponder_adapter_use* adapters,
                                                      size_t n_adapters, ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](core::Session& s) -> Status {
    PONDER_TRY(capi::need_array("adapters", adapters, n_adapters));
    std::vector<core::AdapterUse> uses;
    for (std::size_t i = 0; i < n_adapters; ++i) {
      if (!adapters[i].adapter) return core::fail(Code::invalid_argument, "adapters[{}].adapter must not be NULL", i);
      PONDER_TRY(capi::check_flags("ponder_adapter_use.flags", adapters[i].flags, 0));
      uses.push_back({adapters[i].adapter->shared, adapters[i].scale});
    }
    return s.set_adapters(uses);
  });
}
