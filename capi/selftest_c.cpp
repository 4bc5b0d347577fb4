// The kernels beside their reference on this CPU.
#include <cmath>

#include "capi/values.h"
#include "lib/base/format.h"
#include "lib/ops/kernel_checker.h"

using namespace ponder;
using core::Json;
using core::Status;

ponder_status PONDER_CALL ponder_selftest(const ponder_runtime* runtime, ponder_buffer** out_json, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    if (out_json) *out_json = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}}));
    const kernels::Isa isa = runtime->shared->kernels.isa;
    core::ops::KernelChecker checker(isa);
    checker.all();
    Status status;
    std::int64_t n_failed = 0;
    Json::Array checks;
    for (const core::ops::KernelCheck& check : checker.checks()) {
      if (!check.ok() && n_failed++ == 0)
        status = core::fail(core::Code::device, "{} for {}: error {:.3g}, its bound is {:.3g}", check.kernel,
                            kernels::isa_name(check.isa), check.error, check.bound);
      if (!out_json) continue;
      checks.emplace_back(Json::Object{{"kernel", check.kernel},
                                       {"isa", std::string_view(kernels::isa_name(check.isa))},
                                       {"error", std::isfinite(check.error) ? Json(check.error) : Json()},
                                       {"bound", check.bound},
                                       {"ok", check.ok()}});
    }
    if (out_json)
      *out_json = capi::new_buffer(core::dump_json(Json::Object{{"isa", std::string_view(kernels::isa_name(isa))},
                                                                {"ok", n_failed == 0},
                                                                {"n_failed", n_failed},
                                                                {"checks", std::move(checks)}}));
    return status;
  });
}
