// Where a session computes: on the runtime's device, or on the CPU when there is none, when the model does not fit, or when the
// device fails later. The tokens of a session are all that it needs to go on elsewhere.
#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

// Failures of a device that the CPU does not have.
bool is_of_device(Code code) { return code == Code::device || code == Code::out_of_memory || code == Code::unsupported; }

}  // namespace

Status Session::State::compute_on(std::shared_ptr<ops::Device> device, const KvCache* shared) {
  ctx.device = device;
  if (shared) {
    PONDER_ASSIGN(kv, shared->fork(params.context_length));
  } else {
    PONDER_ASSIGN(KvLayout layout, KvLayout::create(model->config(), params.kv_type));
    layout.device = std::move(device);
    PONDER_ASSIGN(kv, KvCache::create(layout, params.context_length, ctx.memory));
  }
  PONDER_ASSIGN(forward, Forward::create(*model, ctx, forward_options(params)));
  return {};
}

Status Session::State::choose_device() {
  const std::shared_ptr<ops::DeviceChoice>& choice = runtime->device;
  if (!choice || (choice->automatic() && params.compute == Compute::exact)) return compute_on(nullptr, nullptr);
  const Log& log = runtime->log;
  Result<std::shared_ptr<ops::Device>> device = choice->device();
  const bool plain = params.kv_type == DType::f32 || params.kv_type == DType::f16 || params.kv_type == DType::bf16;
  Status why = !device.ok() ? device.status()
               : plain      ? compute_on(*device, nullptr)
                            : fail(Code::unsupported, "kv_type {} is for the CPU only", dtype_name(params.kv_type));
  if (why.ok()) {
    log.write(LogLevel::info, formatted("the session computes on {}", (*device)->name()));
    return {};
  }
  if (device.ok() && plain && !is_of_device(why.code())) return why;  // a mistake of the caller, on the CPU too
  log.write(device.ok() || !choice->automatic() ? LogLevel::warning : LogLevel::debug, formatted("the session computes on the CPU: {}", why.message()));
  forward.reset();
  return compute_on(nullptr, nullptr);
}

Status Session::State::leave_device(const Status& why) {
  runtime->log.write(LogLevel::warning, formatted("the session goes on on the CPU: {}", why.message()));
  forward.reset();
  kv = KvCache();
  if (prompt_cache) prompt_cache->keep(0);
  drop_logits();
  PONDER_TRY(compute_on(nullptr, nullptr));
  ctx.low_ranks = adapters ? &adapters->low_ranks() : nullptr;
  return forward->set_low_ranks(ctx.low_ranks);
}

bool Session::State::survives(const Status& status) {
  if (!ctx.device || !is_of_device(status.code())) return false;
  if (status.code() == Code::device) runtime->device->give_up(status);
  return leave_device(status).ok();
}

}  // namespace ponder::core
