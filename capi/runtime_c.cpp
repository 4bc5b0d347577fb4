// Status names, buffers, runtimes.
#include <cstdlib>

#include "capi/handles.h"
#include "capi/params.h"
#include "lib/base/format.h"

namespace {

using namespace ponder;
using core::Code;
using core::Status;
using kernels::Isa;

static_assert(static_cast<int>(core::LogLevel::debug) + 1 == PONDER_LOG_DEBUG);
static_assert(static_cast<int>(core::LogLevel::error) + 1 == PONDER_LOG_ERROR);

// The cap that `name` gives, from the parameter or the environment.
Status isa_cap(const char* name, Isa& cap) {
  const char* origin = "max_isa";
  if (!name) {
    name = std::getenv("PONDER_MAX_ISA");
    origin = "PONDER_MAX_ISA";
  }
  cap = kernels::highest_isa();
  if (!name) return {};
  if (!kernels::isa_from_name(name, cap))
    return core::fail(Code::invalid_argument, "{} is '{}', want ref, avx2, avx512, avx512vnni, avx512bf16 or neon", origin, name);
  // Levels of one kind of CPU are a ladder, and a cap above what this one has is fine; the other kind's is a mistake.
#if defined(__aarch64__)
  const bool other = cap != Isa::ref && cap != Isa::neon;
#else
  const bool other = cap == Isa::neon;
#endif
  if (other) return core::fail(Code::invalid_argument, "{} is '{}', which this kind of CPU does not have", origin, name);
  return {};
}

}  // namespace

const char* PONDER_CALL ponder_status_name(ponder_status status) noexcept {
  switch (status) {
    case PONDER_OK: return "ok";
    case PONDER_END: return "end";
    case PONDER_PENDING: return "pending";
    case PONDER_E_INVALID_ARGUMENT: return "invalid_argument";
    case PONDER_E_OUT_OF_MEMORY: return "out_of_memory";
    case PONDER_E_IO: return "io";
    case PONDER_E_NOT_FOUND: return "not_found";
    case PONDER_E_BAD_FILE: return "bad_file";
    case PONDER_E_UNSUPPORTED: return "unsupported";
    case PONDER_E_STATE: return "state";
    case PONDER_E_CONTEXT_FULL: return "context_full";
    case PONDER_E_CANCELLED: return "cancelled";
    case PONDER_E_NO_TOKENIZER: return "no_tokenizer";
    case PONDER_E_TEMPLATE: return "template";
    case PONDER_E_NUMERIC: return "numeric";
    case PONDER_E_BUFFER_TOO_SMALL: return "buffer_too_small";
    case PONDER_E_CALLBACK: return "callback";
    case PONDER_E_DEVICE: return "device";
    case PONDER_E_INTERNAL: return "internal";
    default: return "unknown";
  }
}

const char* PONDER_CALL ponder_version(void) noexcept { return PONDER_VERSION_STRING; }
uint32_t PONDER_CALL ponder_abi_version(void) noexcept { return PONDER_ABI_VERSION; }

const void* PONDER_CALL ponder_buffer_data(const ponder_buffer* buffer) noexcept {
  return buffer ? buffer->bytes.c_str() : nullptr;
}
size_t PONDER_CALL ponder_buffer_size(const ponder_buffer* buffer) noexcept { return buffer ? buffer->bytes.size() : 0; }
void PONDER_CALL ponder_buffer_free(ponder_buffer* buffer) noexcept { delete buffer; }

ponder_status PONDER_CALL ponder_runtime_create(const ponder_runtime_params* params, ponder_runtime** out_runtime,
                                                ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_runtime", out_runtime}}));
    *out_runtime = nullptr;
    ponder_runtime_params p;
    PONDER_TRY(capi::read_params("ponder_runtime_params", params, p));
    PONDER_TRY(capi::check_flags("ponder_runtime_params.flags", p.flags, 0));
    if (p.log_level < PONDER_LOG_DEFAULT || p.log_level > PONDER_LOG_ERROR)
      return core::fail(Code::invalid_argument, "log_level: {}, want a PONDER_LOG_ value", p.log_level);
    if (p.memory_limit < 0) return core::fail(Code::invalid_argument, "memory_limit: {}, want 0 (none) or more", p.memory_limit);
    if (!p.allocate != !p.deallocate)
      return core::fail(Code::invalid_argument, "{} is NULL, but {} is not", p.allocate ? "deallocate" : "allocate",
                        p.allocate ? "allocate" : "deallocate");
    Isa cap;
    PONDER_TRY(isa_cap(p.max_isa, cap));
    auto shared = std::make_shared<capi::Runtime>();
    if (p.log) {
      const int least = p.log_level == PONDER_LOG_DEFAULT ? PONDER_LOG_INFO : p.log_level;
      shared->log = core::Log(
          [log = p.log, user_data = p.log_user_data](core::LogLevel level, std::string_view text) {
            try {
              log(user_data, static_cast<int>(level) + 1, text.data(), text.size());
            } catch (...) {  // a message less
            }
          },
          static_cast<core::LogLevel>(least - 1));
    }
    shared->memory = std::make_shared<core::Memory>(
        static_cast<std::uint64_t>(p.memory_limit),
        core::Memory::Allocator{p.allocate, p.deallocate, p.allocator_user_data});
    shared->kernels = kernels::make_table(cap);
    if (cap >= kernels::Isa::avx512bf16) shared->onednn = core::ops::Onednn::load_if_faster();
    const char* device = std::getenv("PONDER_DEVICE");
    PONDER_ASSIGN(shared->device, core::ops::DeviceChoice::parse(device && *device ? device : "auto"));
    PONDER_ASSIGN(shared->pool, core::ThreadPool::create(p.n_threads, {p.on_thread_start, p.thread_user_data, p.executor,
                                                                       p.executor_user_data}));
    const core::Log& log = shared->log;
    if (log.wants(core::LogLevel::info))
      log.write(core::LogLevel::info, core::formatted("ponder {}: {} kernels, {} threads, {} oneDNN", PONDER_VERSION_STRING,
                                                  kernels::isa_name(shared->kernels.isa), shared->pool->n_threads(),
                                                  shared->onednn ? "with" : "without"));
    *out_runtime = new ponder_runtime{std::move(shared)};
    return {};
  });
}

void PONDER_CALL ponder_runtime_free(ponder_runtime* runtime) noexcept { delete runtime; }
const char* PONDER_CALL ponder_runtime_isa(const ponder_runtime* runtime) noexcept {
  return runtime ? kernels::isa_name(runtime->shared->kernels.isa) : "";
}
int32_t PONDER_CALL ponder_runtime_threads(const ponder_runtime* runtime) noexcept {
  return runtime ? runtime->shared->pool->n_threads() : 0;
}

ponder_status PONDER_CALL ponder_runtime_memory(const ponder_runtime* runtime, ponder_memory_info* out_info,
                                                ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"runtime", runtime}, {"out_info", out_info}}));
    PONDER_TRY(capi::check_out("ponder_memory_info", out_info));
    const core::Memory::Usage usage = runtime->shared->memory->usage();
    ponder_memory_info info{};
    info.limit_bytes = static_cast<int64_t>(usage.limit_bytes);
    info.used_bytes = static_cast<int64_t>(usage.used_bytes);
    info.peak_bytes = static_cast<int64_t>(usage.peak_bytes);
    info.weight_bytes = static_cast<int64_t>(usage.weight_bytes);
    info.kv_bytes = static_cast<int64_t>(usage.kv_bytes);
    info.scratch_bytes = static_cast<int64_t>(usage.scratch_bytes);
    info.other_bytes = static_cast<int64_t>(usage.other_bytes);
    capi::write_out(info, out_info);
    return {};
  });
}
