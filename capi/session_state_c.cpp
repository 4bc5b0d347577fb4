// Sessions: fork, rewind, save and restore; what is in them and what they think of it.
#include "capi/session_call.h"
#include "lib/base/format.h"

namespace {

using namespace ponder;
using core::Code;
using core::Session;
using core::Status;

// Hands the tensors of evaluate() to the host.
class HostSink final : public core::TensorSink {
 public:
  HostSink(ponder_tensor_fn function, void* user_data) : function_(function), user_data_(user_data) {}
  bool on_f32(const std::string& name, std::span<const float> data, std::span<const std::int64_t> shape) override {
    return hand_out(name, PONDER_DTYPE_F32, data.data(), shape);
  }
  bool on_i32(const std::string& name, std::span<const std::int32_t> data, std::span<const std::int64_t> shape) override {
    return hand_out(name, PONDER_DTYPE_I32, data.data(), shape);
  }
  Status status(Status status) const { return asked_.status(std::move(status)); }

 private:
  bool hand_out(const std::string& name, ponder_dtype type, const void* data, std::span<const std::int64_t> shape) {
    return asked_.go_on([&] {
      return function_(user_data_, name.c_str(), type, data, shape.data(), static_cast<std::int32_t>(shape.size()));
    });
  }
  ponder_tensor_fn function_;
  void* user_data_;
  core::HostAsked asked_{"on_tensor"};
};

Status check_room(std::size_t needed, std::size_t count, const char* what) {
  if (count >= needed) return {};
  return core::fail(Code::buffer_too_small, "room for {} elements, {} has {}", count, what, needed);
}

}  // namespace

ponder_status PONDER_CALL ponder_session_fork(const ponder_session* session, ponder_session** out_session,
                                              ponder_error* err) noexcept {
  if (out_session) *out_session = nullptr;
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_session", out_session}}));
    auto handle = capi::new_session(session->runtime);
    PONDER_ASSIGN(handle->session, s.fork());
    *out_session = capi::publish(std::move(handle));
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_rewind(ponder_session* session, size_t n_tokens, ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) { return s.rewind(n_tokens); });
}

ponder_status PONDER_CALL ponder_session_save(const ponder_session* session, ponder_buffer** out_state,
                                              ponder_error* err) noexcept {
  if (out_state) *out_state = nullptr;
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_state", out_state}}));
    core::MemoryCharge charge(session->runtime->memory, core::MemoryUse::other);
    PONDER_ASSIGN(std::string state, s.save(&charge));
    *out_state = capi::new_buffer(std::move(state), std::move(charge));
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_save_file(const ponder_session* session, const char* path,
                                                   ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"path", path}}));
    return s.save_file(capi::to_path(path));
  });
}

ponder_status PONDER_CALL ponder_session_restore(ponder_session* session, const void* state, size_t state_size,
                                                 ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"state", state}}));
    return s.restore({static_cast<const char*>(state), state_size});
  });
}

ponder_status PONDER_CALL ponder_session_restore_file(ponder_session* session, const char* path,
                                                      ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"path", path}}));
    return s.restore_file(capi::to_path(path));
  });
}

ponder_status PONDER_CALL ponder_session_tokens(const ponder_session* session, int32_t* out_ids, size_t capacity,
                                                size_t* out_count, ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_count", out_count}}));
    return capi::write_list(s.tokens(), out_ids, capacity, out_count);
  });
}

ponder_status PONDER_CALL ponder_session_logits(ponder_session* session, float* out_logits, size_t count,
                                                ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_logits", out_logits}}));
    PONDER_TRY(check_room(static_cast<std::size_t>(s.model().config().vocab_size), count, "the vocabulary"));
    PONDER_ASSIGN(const std::span<const float> logits, s.logits());
    std::copy(logits.begin(), logits.end(), out_logits);
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_top_logprobs(ponder_session* session, ponder_logprob* out, size_t n,
                                                      ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need_array("out", out, n));
    const auto vocab_size = static_cast<std::size_t>(s.model().config().vocab_size);
    if (n > vocab_size) return core::fail(Code::invalid_argument, "n: {}, the vocabulary has {} ids", n, vocab_size);
    PONDER_ASSIGN(const std::span<const float> logits, s.logits());
    std::vector<core::TokenLogprob> top;
    core::Sampler::top_logprobs(logits, n, top);
    std::transform(top.begin(), top.end(), out,
                   [](const core::TokenLogprob& t) { return ponder_logprob{t.id, t.logprob}; });
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_prompt_logprobs(ponder_session* session, float* out_logprobs, size_t count,
                                                         ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_logprobs", out_logprobs}}));
    PONDER_TRY(check_room(s.tokens().size(), count, "the session"));
    PONDER_ASSIGN(const std::vector<float> logprobs, s.prompt_logprobs());
    std::copy(logprobs.begin(), logprobs.end(), out_logprobs);
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_get_stats(const ponder_session* session, ponder_session_stats* out_stats,
                                                   ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_stats", out_stats}}));
    PONDER_TRY(capi::check_out("ponder_session_stats", out_stats));
    const core::SessionStats from = s.stats();
    ponder_session_stats stats{};
    stats.context_length = static_cast<int64_t>(s.context_length());
    stats.n_tokens = static_cast<int64_t>(s.tokens().size());
    stats.prompt_tokens = from.prompt_tokens;
    stats.reused_tokens = from.reused_tokens;
    stats.thinking_tokens = from.thinking_tokens;
    stats.answer_tokens = from.answer_tokens;
    stats.forced_tokens = from.forced_tokens;
    stats.kv_bytes = from.kv_bytes;
    stats.scratch_bytes = from.scratch_bytes;
    stats.prefill_ms = from.prefill_ms;
    stats.decode_ms = from.decode_ms;
    stats.think_end = static_cast<ponder_think_end>(from.think_end);
    stats.n_waits = static_cast<int32_t>(std::min<std::int64_t>(from.n_waits, INT32_MAX));
    stats.probe_tokens = from.probe_tokens;
    capi::write_out(stats, out_stats);
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_evaluate(ponder_session* session, const int32_t* ids, size_t n_ids,
                                                  const int32_t* mtp_next_ids, uint32_t flags,
                                                  ponder_tensor_fn on_tensor, void* user_data,
                                                  ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"on_tensor", reinterpret_cast<const void*>(on_tensor)}}));
    PONDER_TRY(capi::need_array("ids", ids, n_ids));
    PONDER_TRY(capi::check_flags("flags", flags, PONDER_EVALUATE_LAST | PONDER_EVALUATE_HIDDEN | PONDER_EVALUATE_MOE));
    const Session::EvaluateOptions options{(flags & PONDER_EVALUATE_LAST) != 0, (flags & PONDER_EVALUATE_HIDDEN) != 0,
                                           (flags & PONDER_EVALUATE_MOE) != 0};
    HostSink sink(on_tensor, user_data);
    const std::span<const int32_t> next(mtp_next_ids, mtp_next_ids ? n_ids : 0);
    return sink.status(s.evaluate({ids, n_ids}, next, options, sink));
  });
}
