#include "lib/model/forward.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "lib/base/format.h"
#include "lib/model/decoder_layer.h"
#include "lib/model/device_forward.h"
#include "lib/ops/ops.h"

namespace ponder::core {

struct Forward::State {
  const Model* model = nullptr;
  Context ctx;
  ForwardOptions options;
  Rope rope;
  Scratch s;
  std::unique_ptr<DeviceForward> device;  // computes instead, without scratch memory here
  Buffer low_rank_memory;
  // The pass under way.
  std::vector<SequenceRows> sequences;
  std::vector<std::size_t> logits_rows;
  ForwardTap* tap = nullptr;
  std::size_t n_rows = 0;
  std::size_t layer = 0;
  bool active = false;

  const Config& config() const { return model->config(); }
  void set_position(std::size_t row, std::size_t position) {
    s.positions[row] = position;
    for (std::size_t i = 0; i < rope.inverse_frequencies.size(); ++i) {
      const double angle = static_cast<double>(position) * rope.inverse_frequencies[i];
      s.cos.row(row)[i] = static_cast<float>(std::cos(angle) * rope.cos_sin_factor);
      s.sin.row(row)[i] = static_cast<float>(std::sin(angle) * rope.cos_sin_factor);
    }
  }
  void tap_hidden(const std::string& name, const Tensor& x) {
    if (tap) tap->on_f32(name, x);
  }
};

Forward::Forward() = default;
Forward::Forward(Forward&&) noexcept = default;
Forward& Forward::operator=(Forward&&) noexcept = default;
Forward::~Forward() = default;

Result<Forward> Forward::create(const Model& model, const Context& ctx, const ForwardOptions& options) {
  Forward forward;
  forward.state_ = std::make_unique<State>();
  State& st = *forward.state_;
  st.model = &model;
  st.ctx = ctx;
  st.options = options;
  st.rope = Rope::create(model.config());
  if (ctx.device) {
    PONDER_ASSIGN(st.device, DeviceForward::create(model, ctx, options));
  } else {
    PONDER_ASSIGN(st.s, Scratch::create(model.config(), options, ctx.memory));
    st.ctx.int8_units = st.s.int8_units;
    st.ctx.n_int8_units = st.s.n_int8_units;
  }
  // After the buffers, which are larger: sizes that cannot be had are their status.
  st.sequences.reserve(options.max_rows);
  st.logits_rows.reserve(options.max_logits_rows);
  PONDER_TRY(forward.set_low_ranks(ctx.low_ranks));
  return forward;
}

Status Forward::set_low_ranks(const ops::LowRanks* low_ranks) {
  State& st = *state_;
  if (low_ranks && st.device) return Status(Code::unsupported, "adapters run on the CPU only, this pass is on a device");
  if (low_ranks) {
    // Of one region the most: q, k and v; gate and up of dense, or of shared and routed experts; the head.
    const std::size_t rows = st.options.max_rows, wave = st.s.expert_in.n_rows;
    const std::size_t n_bytes =
        low_ranks->max_rank() * std::max({3 * rows, 2 * (rows + wave), st.options.max_logits_rows}) * sizeof(float);
    if (n_bytes > st.low_rank_memory.size_bytes()) {
      PONDER_ASSIGN(Buffer memory, Buffer::allocate(n_bytes, st.ctx.memory, MemoryUse::scratch));
      st.low_rank_memory = std::move(memory);
    }
  }
  st.ctx.low_ranks = low_ranks;
  st.ctx.low_rank_floats = st.low_rank_memory.as<float>();
  return {};
}

std::size_t Forward::scratch_bytes(const Config& config, const ForwardOptions& options) {
  return Scratch::bytes(config, options);
}

Status Forward::begin(const Batch& batch) {
  State& st = *state_;
  st.active = false;
  if (batch.token_ids.empty()) return Status(Code::invalid_argument, "a forward pass needs at least one token");
  if (batch.token_ids.size() > st.options.max_rows)
    return fail(Code::invalid_argument, "{} tokens in one pass, the limit is {}", batch.token_ids.size(), st.options.max_rows);
  if (batch.logits_rows.size() > st.options.max_logits_rows)
    return fail(Code::invalid_argument, "logits of {} rows were asked for, the limit is {}", batch.logits_rows.size(),
                st.options.max_logits_rows);
  for (TokenId id : batch.token_ids)
    if (id < 0 || id >= st.config().vocab_size)
      return fail(Code::invalid_argument, "token id {} is outside the vocabulary of {} ids", id, st.config().vocab_size);
  std::size_t covered = 0;
  for (const SequenceRows& sequence : batch.sequences) {
    if (sequence.first_row != covered || !sequence.kv)
      return Status(Code::invalid_argument, "the sequences of a batch must cover its rows in order");
    if (sequence.kv->layout().device != st.ctx.device)
      return Status(Code::invalid_argument, "a pass wants caches that lie where it computes, on the same device or in RAM");
    covered += sequence.n_rows;
  }
  if (covered != batch.token_ids.size())
    return fail(Code::invalid_argument, "the sequences cover {} of {} rows", covered, batch.token_ids.size());
  for (std::size_t row : batch.logits_rows)
    if (row >= covered) return fail(Code::invalid_argument, "logits row {} of {} rows", row, covered);
  for (const SequenceRows& sequence : batch.sequences) PONDER_TRY(sequence.kv->prepare(sequence.n_rows));

  st.sequences.assign(batch.sequences.begin(), batch.sequences.end());
  st.logits_rows.assign(batch.logits_rows.begin(), batch.logits_rows.end());
  st.tap = batch.tap;
  st.n_rows = covered;
  st.layer = 0;
  if (st.device) {
    PONDER_TRY(st.device->begin(batch));
    st.active = true;
    return {};
  }
  for (std::size_t i = 0; i < st.sequences.size(); ++i) {
    const SequenceRows& sequence = st.sequences[i];
    for (std::size_t r = 0; r < sequence.n_rows; ++r) {
      st.s.sequence_of[sequence.first_row + r] = static_cast<std::int32_t>(i);
      st.set_position(sequence.first_row + r, sequence.kv->n_tokens() + r);
    }
  }
  const Tensor x = st.s.residual.rows(0, st.n_rows);
  ops::embed(st.ctx, x, st.model->weights().embed_tokens, batch.token_ids);
  if (st.tap) st.tap_hidden("hidden.0", x);
  st.active = true;
  return {};
}

Status Forward::advance(Clock::time_point deadline) {
  State& st = *state_;
  if (!st.active) return Status(Code::state, "no forward pass is under way");
  if (st.device) {
    Status status = st.device->advance(deadline);
    st.layer = st.device->layer();
    st.active = status.code() == Code::pending;
    if (status.ok())
      for (const SequenceRows& sequence : st.sequences) sequence.kv->commit(sequence.n_rows);
    return status;
  }
  const ModelWeights& weights = st.model->weights();
  const Tensor x = st.s.residual.rows(0, st.n_rows);
  const Rows rows{st.n_rows, st.sequences, st.options.mla_form};
  while (st.layer < weights.layers.size()) {
    if (st.ctx.cancelled()) {
      st.active = false;
      return Status(Code::cancelled, "cancelled");
    }
    decoder_layer(st.ctx, st.config(), st.rope, weights.layers[st.layer], rows, st.layer, st.layer, st.s, st.tap);
    ++st.layer;
    if (st.tap) st.tap_hidden("hidden." + std::to_string(st.layer), x);
    if (st.layer < weights.layers.size() && deadline != Clock::time_point::max() && Clock::now() >= deadline)
      return Status(Code::pending, {});
  }
  const Tensor normed = st.s.normed.rows(0, st.n_rows);
  ops::rms_norm(st.ctx, normed, x, weights.norm, st.config().rms_norm_eps);
  if (st.tap) st.tap_hidden("hidden.final_norm", normed);
  // Consecutive rows go through the head in one product: all rows, or the last one, in practice.
  for (std::size_t i = 0; i < st.logits_rows.size();) {
    std::size_t end = i + 1;
    while (end < st.logits_rows.size() && st.logits_rows[end] == st.logits_rows[end - 1] + 1) ++end;
    ops::matmul(st.ctx, st.s.logits.rows(i, end - i), normed.rows(st.logits_rows[i], end - i), weights.lm_head);
    i = end;
  }
  for (const SequenceRows& sequence : st.sequences) sequence.kv->commit(sequence.n_rows);
  st.active = false;
  return {};
}

Status Forward::run(const Batch& batch) {
  PONDER_TRY(begin(batch));
  return advance();
}

bool Forward::active() const { return state_->active; }
float Forward::progress() const {
  const auto n = static_cast<float>(state_->config().num_hidden_layers);
  return static_cast<float>(state_->layer) / n;
}
Tensor Forward::logits() const {
  if (state_->device) return state_->device->logits();
  return state_->s.logits.rows(0, state_->logits_rows.size());
}
Tensor Forward::final_hidden() const {
  if (state_->device) return state_->device->final_hidden();
  return state_->s.normed.rows(0, state_->n_rows);
}
Tensor Forward::final_hidden_prenorm() const {
  if (state_->device) return state_->device->final_hidden_prenorm();
  return state_->s.residual.rows(0, state_->n_rows);
}

Status Forward::mtp(const Tensor& hidden, std::span<const TokenId> next_ids, KvCache& kv, Tensor out_logits,
                    Tensor out_hidden) {
  State& st = *state_;
  if (st.device) return Status(Code::unsupported, "the MTP layer runs on the CPU only, this pass is on a device");
  const MtpWeights* w = st.model->weights().mtp.get();
  if (!w) return Status(Code::unsupported, "this model has no MTP layer (config num_nextn_predict_layers)");
  if (next_ids.size() > st.options.max_rows || next_ids.size() != hidden.n_rows || next_ids.empty())
    return fail(Code::invalid_argument, "MTP wants one next id per hidden row, 1 to {}: {} ids, {} rows",
                st.options.max_rows, next_ids.size(), hidden.n_rows);
  for (TokenId id : next_ids)
    if (id < 0 || id >= st.config().vocab_size)
      return fail(Code::invalid_argument, "token id {} is outside the vocabulary of {} ids", id, st.config().vocab_size);
  PONDER_TRY(kv.prepare(next_ids.size()));
  const std::size_t n = next_ids.size();
  const auto width = static_cast<std::size_t>(st.config().hidden_size);
  st.active = false;
  // x = concat(RMS(E[t_{i+1}]; enorm), RMS(h_i; hnorm)) Weh^T: embedding first. `hidden` may be our own buffer, so it is
  // read before anything is overwritten.
  const Tensor concat = st.s.concat.rows(0, n);
  ops::rms_norm(st.ctx, concat.cols(width, width), hidden, w->hnorm, st.config().rms_norm_eps);
  const Tensor x = st.s.residual.rows(0, n);
  ops::embed(st.ctx, x, w->embed_tokens, next_ids);
  ops::rms_norm(st.ctx, concat.cols(0, width), x, w->enorm, st.config().rms_norm_eps);
  ops::matmul(st.ctx, x, concat, w->eh_proj);
  const SequenceRows sequence{&kv, 0, n};
  for (std::size_t i = 0; i < n; ++i) {
    st.s.sequence_of[i] = 0;
    st.set_position(i, kv.n_tokens() + i);
  }
  decoder_layer(st.ctx, st.config(), st.rope, w->layer, {n, {&sequence, 1}, st.options.mla_form},
                static_cast<std::size_t>(st.config().num_hidden_layers), 0, st.s, nullptr);
  if (out_hidden.data)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < width; ++k) out_hidden.row(i)[k] = x.row(i)[k];
  ops::rms_norm(st.ctx, st.s.normed.rows(0, n), x, w->shared_head_norm, st.config().rms_norm_eps);
  ops::matmul(st.ctx, out_logits, st.s.normed.rows(0, n), w->shared_head);
  kv.commit(n);
  return {};
}

}  // namespace ponder::core
