// Looking inside: the tensors of one pass over given ids, in chunks, collected and handed out by name.
#include <algorithm>
#include <array>
#include <map>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

// Rows of each tensor, chunk after chunk.
class Collector final : public ForwardTap {
 public:
  Collector(const Session::EvaluateOptions& options, std::size_t n_rows) : options_(options), n_rows_(n_rows) {}
  void on_f32(std::string_view name, const Tensor& t) override {
    if (!wanted(name)) return;
    auto& [data, n_cols] = floats_[std::string(name)];
    n_cols = t.n_cols;
    data.reserve(n_rows_ * n_cols);
    for (std::size_t i = 0; i < t.n_rows; ++i) data.insert(data.end(), t.row(i), t.row(i) + t.n_cols);
  }
  void on_i32(std::string_view name, const std::int32_t* rows, std::size_t n_rows, std::size_t cols) override {
    if (!wanted(name)) return;
    auto& [data, n_cols] = ints_[std::string(name)];
    n_cols = cols;
    data.reserve(n_rows_ * n_cols);
    data.insert(data.end(), rows, rows + n_rows * cols);
  }
  bool emit(TensorSink& sink) const {
    for (const auto& [name, rows] : floats_)
      if (!sink.on_f32(name, rows.data, shape(rows))) return false;
    for (const auto& [name, rows] : ints_)
      if (!sink.on_i32(name, rows.data, shape(rows))) return false;
    return true;
  }

 private:
  template <class T>
  struct Rows {
    std::vector<T> data;
    std::size_t n_cols = 0;
  };
  template <class T>
  static std::array<std::int64_t, 2> shape(const Rows<T>& rows) {
    return {static_cast<std::int64_t>(rows.data.size() / std::max<std::size_t>(rows.n_cols, 1)),
            static_cast<std::int64_t>(rows.n_cols)};
  }
  bool wanted(std::string_view name) const { return name.starts_with("moe.") ? options_.moe : options_.hidden; }

  const Session::EvaluateOptions& options_;
  std::size_t n_rows_;  // in all
  std::map<std::string, Rows<float>> floats_;
  std::map<std::string, Rows<std::int32_t>> ints_;
};

}  // namespace

Status Session::evaluate(std::span<const TokenId> ids, std::span<const TokenId> mtp_next_ids,
                         const EvaluateOptions& options, TensorSink& sink) {
  const State& st = *state_;
  const Config& config = st.model->config();
  if (ids.empty()) return Status(Code::invalid_argument, "evaluate needs at least one token");
  PONDER_TRY(st.check_ids(ids));
  PONDER_TRY(st.check_ids(mtp_next_ids).with_prefix("mtp_next_ids"));
  if (!mtp_next_ids.empty() && mtp_next_ids.size() != ids.size())
    return fail(Code::invalid_argument, "mtp_next_ids: {} ids, want one for each of the {} ids", mtp_next_ids.size(),
                ids.size());
  if (!mtp_next_ids.empty() && !st.model->weights().mtp)
    return Status(Code::unsupported, "this model has no MTP layer (config num_nextn_predict_layers)");
  if (ids.size() > static_cast<std::size_t>(config.max_position_embeddings))
    return fail(Code::context_full, "{} tokens, config max_position_embeddings is {}", ids.size(),
                config.max_position_embeddings);

  const auto vocab_size = static_cast<std::size_t>(config.vocab_size);
  ForwardOptions forward_options;
  forward_options.max_rows = std::min(ids.size(), st.params.prefill_chunk);
  forward_options.max_logits_rows = options.last_only ? 1 : forward_options.max_rows;
  forward_options.int8_rows = st.params.compute == Compute::fast;
  Context ctx = st.ctx;
  KvLayout main_layout = st.kv.layout();
  if (!mtp_next_ids.empty()) ctx.device = main_layout.device = nullptr;  // the MTP layer runs on the CPU only
  PONDER_ASSIGN(Forward forward, Forward::create(*st.model, ctx, forward_options));
  PONDER_ASSIGN(KvCache kv, KvCache::create(main_layout, ids.size(), ctx.memory));
  KvCache mtp_kv;
  if (!mtp_next_ids.empty()) {
    KvLayout layout = main_layout;
    layout.n_layers = 1;
    PONDER_ASSIGN(mtp_kv, KvCache::create(layout, ids.size(), st.ctx.memory));
  }
  // Everything is collected before the first tensor is handed out.
  const std::size_t n_out = options.last_only ? 1 : ids.size(), n_layers = static_cast<std::size_t>(config.num_hidden_layers);
  std::size_t n_floats = n_out * vocab_size;
  if (!mtp_next_ids.empty()) n_floats += (n_out + forward_options.max_rows) * vocab_size;
  if (options.hidden) n_floats += (n_layers + 2) * ids.size() * static_cast<std::size_t>(config.hidden_size);
  if (options.moe) n_floats += 2 * n_layers * ids.size() * static_cast<std::size_t>(config.num_experts_per_tok);
  MemoryCharge charge(st.ctx.memory, MemoryUse::other);
  PONDER_TRY(charge.raise_to(n_floats * sizeof(float)).with_prefix("evaluate"));
  std::vector<std::size_t> rows;
  std::vector<float> logits, mtp_logits;
  logits.reserve(n_out * vocab_size);
  if (!mtp_next_ids.empty()) mtp_logits.reserve(n_out * vocab_size);
  std::vector<float> mtp_chunk(mtp_next_ids.empty() ? 0 : forward_options.max_rows * vocab_size);
  const auto keep = [&](std::vector<float>& all, const float* from, std::size_t n_rows) {
    if (options.last_only) {
      all.clear();
      from += (n_rows - 1) * vocab_size;
      n_rows = 1;
    }
    all.insert(all.end(), from, from + n_rows * vocab_size);
  };
  Collector collector(options, ids.size());
  for (std::size_t first = 0; first < ids.size(); first += forward_options.max_rows) {
    const std::size_t n = std::min(forward_options.max_rows, ids.size() - first);
    rows.clear();
    for (std::size_t i = options.last_only ? n - 1 : 0; i < n; ++i) rows.push_back(i);
    const SequenceRows sequence{&kv, 0, n};
    ForwardTap* tap = options.hidden || options.moe ? &collector : nullptr;
    PONDER_TRY(forward.run({ids.subspan(first, n), {&sequence, 1}, rows, tap}));
    keep(logits, forward.logits().data, rows.size());
    if (mtp_next_ids.empty()) continue;
    PONDER_TRY(forward.mtp(forward.final_hidden(), mtp_next_ids.subspan(first, n), mtp_kv,
                           Tensor(mtp_chunk.data(), n, vocab_size), {}));
    keep(mtp_logits, mtp_chunk.data(), n);
  }

  const std::int64_t shape[] = {static_cast<std::int64_t>(ids.size()), config.vocab_size};
  const std::span<const std::int64_t> logits_shape = options.last_only ? std::span(shape).subspan(1) : std::span(shape);
  const bool go_on = sink.on_f32("logits", logits, logits_shape) && collector.emit(sink) &&
                     (mtp_next_ids.empty() || sink.on_f32("mtp.logits", mtp_logits, logits_shape));
  return go_on ? Status() : Status(Code::cancelled, "stopped by the receiver of the tensors");
}

}  // namespace ponder::core
