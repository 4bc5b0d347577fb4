// What the opaque handles hold. A handle never is the object: objects are shared, so that handles can be freed in any
// order.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/log.h"
#include "lib/model/adapter.h"
#include "lib/model/model.h"
#include "lib/session/session.h"
#include "ponder/ponder.h"

namespace ponder::capi {

using Runtime = core::Runtime;

// For work on all of its threads that belongs to no session.
inline core::Context context_of(const Runtime& runtime) {
  core::Context ctx;
  ctx.kernels = &runtime.kernels;
  ctx.pool = runtime.pool.get();
  ctx.memory = runtime.memory;
  return ctx;
}

}  // namespace ponder::capi

struct ponder_buffer {
  ponder::core::MemoryCharge charge;  // of results that a runtime counts; given back after the bytes
  std::string bytes;
};

struct ponder_runtime {
  std::shared_ptr<const ponder::capi::Runtime> shared;
};

struct ponder_model {
  std::shared_ptr<const ponder::core::Model> shared;
};

struct ponder_tokenizer {
  std::shared_ptr<const ponder::core::Tokenizer> shared;
};

struct ponder_template {
  std::shared_ptr<const ponder::core::ChatTemplate> shared;
  std::string bos_text, eos_text;
};

struct ponder_adapter {
  std::shared_ptr<const ponder::core::Adapter> shared;
};

struct ponder_session {
  std::shared_ptr<ponder_session> self;  // until it is freed; a batch that computes holds another, and looks weakly otherwise
  std::shared_ptr<const ponder::capi::Runtime> runtime;
  std::unique_ptr<ponder::core::Session> session;
  mutable std::atomic<bool> busy{false};  // a call is running
  std::vector<ponder_logprob> top_logprobs;  // of the last event
  // Of ponder_session_get_params.
  std::vector<ponder_logit_bias> logit_bias;
  std::vector<ponder_text> stop;
};
