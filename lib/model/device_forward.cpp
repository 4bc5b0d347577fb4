#include "lib/model/device_forward.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "lib/base/format.h"
#include "lib/model/decoder_layer.h"

namespace ponder::core {

namespace {

constexpr float kLoraNormEps = 1e-6f;      // as in attention_mla.cpp
constexpr std::size_t kMaxGraphs = 32;     // shapes of decode passes that are kept
constexpr std::size_t kAlignment = 256;

std::size_t size(std::int64_t value) { return static_cast<std::size_t>(value); }

ponder_device_rows cols(ponder_device_rows rows, std::size_t first) {
  rows.data = static_cast<std::byte*>(rows.data) + first * element_bytes(static_cast<DType>(rows.type));
  return rows;
}

}  // namespace

DeviceForward::~DeviceForward() {
  for (auto& [shape, graph] : graphs_)
    if (graph.graph) queue_.table().graph_destroy(queue_.handle(), graph.graph);
}

Result<std::unique_ptr<DeviceForward>> DeviceForward::create(const Model& model, const Context& ctx, const ForwardOptions& options) {
  std::unique_ptr<DeviceForward> made(new DeviceForward);
  DeviceForward& f = *made;
  f.model_ = &model;
  f.ctx_ = ctx;
  f.options_ = options;
  f.rope_ = Rope::create(model.config());
  f.activation_ = ctx.compute == Compute::exact ? PONDER_TYPE_F32 : PONDER_TYPE_BF16;
  PONDER_ASSIGN(f.weights_, DeviceModel::shared(model, ctx));
  PONDER_ASSIGN(f.queue_, ops::DeviceQueue::create(ctx.device));
  PONDER_TRY(f.create_buffers(model.config()));
  if (f.weights_->placement().n_host_layers() > 0) {
    PONDER_ASSIGN(f.scratch_, Scratch::create(model.config(), options, ctx.memory));
    f.ctx_.int8_units = f.scratch_->int8_units;
    f.ctx_.n_int8_units = f.scratch_->n_int8_units;
  }
  f.sequences_.reserve(options.max_rows);
  return made;
}

Status DeviceForward::create_buffers(const Config& c) {
  ops::Device& device = *ctx_.device;
  const std::size_t rows = options_.max_rows, heads = size(c.num_attention_heads);
  vocab_ = size(c.vocab_size);
  width_ = size(c.hidden_size);
  rope_half_ = size(c.is_mla() ? c.qk_rope_head_dim : c.head_dim) / 2;
  const std::size_t q_cols = heads * size(c.is_mla() ? c.qk_head_dim() : c.head_dim);
  const std::size_t out_cols = heads * size(c.is_mla() ? c.v_head_dim : c.head_dim);
  const std::size_t top_k = size(c.num_experts_per_tok), n_experts = size(c.n_routed_experts);
  const std::size_t inner = size(std::max(c.intermediate_size, c.n_shared_experts * c.moe_intermediate_size));
  std::size_t projected = 0;
  for (const DeviceLayer& layer : weights_->layers()) projected = std::max(projected, layer.projections.n_cols);

  std::size_t used = 0;
  std::byte* base = nullptr;
  const auto take = [&](std::size_t n_bytes) {
    std::byte* at = base + used;
    used += (n_bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  };
  const auto tensor = [&](ponder_device_rows& to, std::size_t n_rows, std::size_t n_cols, std::uint32_t type) {
    const std::size_t stride = (n_cols + 15) / 16 * 16;
    to = {take(n_rows * stride * element_bytes(static_cast<DType>(type))), stride, type};
  };
  const auto lay_out = [&] {
    used = 0;
    tensor(residual_, rows, width_, PONDER_TYPE_F32);
    tensor(normed_, rows, width_, activation_);
    tensor(block_out_, rows, width_, PONDER_TYPE_F32);
    tensor(projected_, rows, projected, activation_);
    if (c.q_lora_rank > 0) tensor(q_lora_, rows, size(c.q_lora_rank), activation_);
    if (c.q_lora_rank > 0) tensor(q_, rows, q_cols, activation_);
    tensor(attn_out_, rows, out_cols, activation_);
    tensor(inner_, rows, inner, activation_);
    tensor(picked_, options_.max_logits_rows, width_, activation_);
    tensor(logits_, options_.max_logits_rows, vocab_, PONDER_TYPE_F32);
    tensor(normed32_, rows, width_, PONDER_TYPE_F32);
    cos_ = reinterpret_cast<float*>(take(rows * rope_half_ * sizeof(float)));
    sin_ = reinterpret_cast<float*>(take(rows * rope_half_ * sizeof(float)));
    frequencies_ = reinterpret_cast<double*>(take(rope_half_ * sizeof(double)));
    if (n_experts == 0) return;
    tensor(scores_, rows, n_experts, PONDER_TYPE_F32);
    slots_.n_experts = static_cast<std::uint32_t>(n_experts);
    slots_.top_k = static_cast<std::uint32_t>(top_k);
    const auto ints = [&](std::size_t n) { return reinterpret_cast<std::int32_t*>(take(n * sizeof(std::int32_t))); };
    slots_.ids = ints(rows * top_k);
    slots_.weights = reinterpret_cast<float*>(ints(rows * top_k));
    slots_.order = ints(rows * top_k);
    slots_.at = ints(rows * top_k);
    slots_.first = ints(n_experts + 1);
  };
  lay_out();
  PONDER_ASSIGN(memory_, device.allocate(used));
  base = memory_.data();
  lay_out();
  PONDER_TRY(device.upload(frequencies_, rope_.inverse_frequencies.data(), rope_half_ * sizeof(double)));
  // ids, positions, row_sequence, first_block, logits rows
  const std::size_t n_inputs = 4 * rows + options_.max_logits_rows;
  PONDER_ASSIGN(inputs_, device.allocate(n_inputs * sizeof(std::int32_t)));
  PONDER_ASSIGN(host_inputs_, device.allocate_host(n_inputs * sizeof(std::int32_t)));
  PONDER_ASSIGN(host_logits_, device.allocate_host(std::max<std::size_t>(1, options_.max_logits_rows) * vocab_ * sizeof(float)));
  return {};
}

Status DeviceForward::upload_inputs(const Batch& batch) {
  const std::size_t rows = options_.max_rows;
  auto* host = host_inputs_.as<std::int32_t>();
  auto* device = inputs_.as<std::int32_t>();
  std::int32_t *ids = host, *positions = ids + rows, *row_sequence = positions + rows, *first_block = row_sequence + rows;
  std::int32_t* logits_rows = first_block + rows;
  std::copy(batch.token_ids.begin(), batch.token_ids.end(), ids);
  for (std::size_t i = 0; i < batch.logits_rows.size(); ++i) logits_rows[i] = static_cast<std::int32_t>(batch.logits_rows[i]);

  std::size_t n_blocks = 0;
  const auto blocks_of = [](const SequenceRows& s) {
    return (s.kv->n_tokens() + s.n_rows + KvCache::kBlockTokens - 1) / KvCache::kBlockTokens;
  };
  for (const SequenceRows& s : batch.sequences) n_blocks += blocks_of(s);
  if (n_blocks * sizeof(void*) > blocks_.size_bytes()) {  // room for twice as many; graphs know the old address
    PONDER_ASSIGN(blocks_, ctx_.device->allocate(2 * n_blocks * sizeof(void*)));
    PONDER_ASSIGN(host_blocks_, ctx_.device->allocate_host(2 * n_blocks * sizeof(void*)));
    for (auto& [shape, graph] : graphs_)
      if (graph.graph) queue_.table().graph_destroy(queue_.handle(), graph.graph);
    graphs_.clear();
  }
  auto** blocks = host_blocks_.as<void*>();
  sequences_.clear();
  one_row_each_ = true;
  std::size_t at = 0;
  for (std::size_t i = 0; i < batch.sequences.size(); ++i) {
    const SequenceRows& s = batch.sequences[i];
    one_row_each_ = one_row_each_ && s.n_rows == 1;
    sequences_.push_back({s.first_row, s.n_rows, s.kv->n_tokens()});
    first_block[i] = static_cast<std::int32_t>(at);
    for (std::size_t b = 0; b < blocks_of(s); ++b) blocks[at++] = s.kv->block_rows(b, 0);
    for (std::size_t r = 0; r < s.n_rows; ++r) {
      const std::size_t row = s.first_row + r, position = s.kv->n_tokens() + r;
      positions[row] = static_cast<std::int32_t>(position);
      row_sequence[row] = static_cast<std::int32_t>(i);
    }
  }
  const KvLayout& layout = batch.sequences[0].kv->layout();
  layer_stride_ = KvCache::kBlockTokens * layout.row_bytes();
  const auto ints = [&](const std::int32_t* p) { return device + (p - host); };
  cache_ = {};
  cache_.blocks = blocks_.as<void*>();
  cache_.first_block = ints(first_block);
  cache_.row_sequence = ints(row_sequence);
  cache_.positions = ints(positions);
  cache_.cos = cos_;
  cache_.sin = sin_;
  cache_.row_elements = layout.row_elements;
  cache_.type = static_cast<std::uint32_t>(layout.type);
  cache_.block_tokens = KvCache::kBlockTokens;
  cache_.n_rows = batch.token_ids.size();
  cache_.n_sequences = batch.sequences.size();
  cache_.sequences = sequences_.data();
  const ponder_device_table& table = queue_.table();
  table.queue_upload(queue_.handle(), device, host, static_cast<std::size_t>(logits_rows + batch.logits_rows.size() - host) * sizeof(std::int32_t));
  table.queue_upload(queue_.handle(), blocks_.data(), blocks, n_blocks * sizeof(void*));
  return {};
}

Status DeviceForward::begin(const Batch& batch) {
  tap_ = batch.tap;
  n_rows_ = batch.token_ids.size();
  logits_rows_ = batch.logits_rows.size();
  layer_ = 0;
  embedded_ = false;
  return upload_inputs(batch);
}

Status DeviceForward::tap_f32(const std::string& name, const ponder_device_rows& rows, std::size_t n_cols) {
  std::vector<float> copy(n_rows_ * rows.stride);
  PONDER_TRY(queue_.wait());
  PONDER_TRY(ctx_.device->download(copy.data(), rows.data, copy.size() * sizeof(float)));
  tap_->on_f32(name, Tensor(copy.data(), n_rows_, n_cols, rows.stride));
  return {};
}

void DeviceForward::enqueue_embedding() {
  const ponder_device_table& t = queue_.table();
  t.embed(queue_.handle(), residual_, &weights_->embed_tokens().matrix, inputs_.as<std::int32_t>(), n_rows_);
  t.angles(queue_.handle(), cos_, sin_, cache_.positions, frequencies_, rope_.cos_sin_factor, n_rows_, static_cast<std::uint32_t>(rope_half_));
}

void DeviceForward::project(const DeviceProjections& w) {
  for (const DeviceProjections::Part& part : w.parts)
    queue_.table().matmul(queue_.handle(), cols(projected_, part.first_col), normed_, &part.w.matrix,
                          w.bias ? w.bias + part.first_col : nullptr, n_rows_, 0);
}

Status DeviceForward::enqueue_layer(std::size_t index) {
  const ponder_device_table& t = queue_.table();
  ponder_queue* q = queue_.handle();
  const Config& c = model_->config();
  const DeviceLayer& w = weights_->layers()[index];
  const auto eps = static_cast<float>(c.rms_norm_eps);
  const ponder_device_rows none{};
  cache_.layer_bytes = index * layer_stride_;

  t.rms_norm(q, normed_, none, residual_, w.input_layernorm, n_rows_, width_, eps);
  project(w.projections);
  ponder_device_heads heads{};
  heads.n_heads = static_cast<std::uint32_t>(c.num_attention_heads);
  heads.scale = static_cast<float>(rope_.attention_scale);
  if (c.is_mla()) {
    heads.n_kv_heads = 1;
    heads.nope = static_cast<std::uint32_t>(c.qk_nope_head_dim);
    heads.rope = static_cast<std::uint32_t>(c.qk_rope_head_dim);
    heads.rank = static_cast<std::uint32_t>(c.kv_lora_rank);
    heads.v = static_cast<std::uint32_t>(c.v_head_dim);
    ponder_device_rows queries = projected_;
    const std::size_t kv_col = w.projections.n_cols - (heads.rank + heads.rope);
    if (w.q_a_layernorm) {
      t.rms_norm(q, q_lora_, none, projected_, w.q_a_layernorm, n_rows_, size(c.q_lora_rank), kLoraNormEps);
      t.matmul(q, q_, q_lora_, &w.q_b_proj.matrix, nullptr, n_rows_, 0);
      queries = q_;
    }
    t.mla_store(q, &cache_, &heads, queries, cols(projected_, kv_col), w.kv_a_layernorm);
    t.mla_attend(q, &cache_, &heads, attn_out_, queries, &w.kv_b_proj.matrix);
  } else {
    heads.n_kv_heads = static_cast<std::uint32_t>(c.num_key_value_heads);
    heads.rope = static_cast<std::uint32_t>(c.head_dim);
    heads.interleaved = c.rope_interleave;
    t.gqa_store(q, &cache_, &heads, projected_, cols(projected_, size(c.num_attention_heads * c.head_dim)));
    t.gqa_attend(q, &cache_, &heads, attn_out_, projected_);
  }
  t.matmul(q, residual_, attn_out_, &w.o_proj.matrix, w.o_proj_bias, n_rows_, 1);

  const bool is_moe = c.is_moe_layer(static_cast<std::int64_t>(index));
  t.rms_norm(q, normed_, is_moe && activation_ != PONDER_TYPE_F32 ? normed32_ : none, residual_, w.post_attention_layernorm, n_rows_,
             width_, eps);
  const bool shared = is_moe && !w.experts.gate.empty() && !w.mlp.gate.empty();  // with the routed ones, below
  if (!w.mlp.gate.empty() && !shared) {
    t.matmul_gated(q, inner_, normed_, &w.mlp.gate.matrix, &w.mlp.up.matrix, n_rows_);
    t.matmul(q, residual_, inner_, &w.mlp.down.matrix, nullptr, n_rows_, 1);
  }
  if (!is_moe) return {};
  if (w.experts.gate.empty()) return experts_on_host(w, index);
  // The router is never rounded: it could tip the choice between two experts.
  t.matmul(q, scores_, activation_ == PONDER_TYPE_F32 ? normed_ : normed32_, &w.router.matrix, nullptr, n_rows_,
           activation_ == PONDER_TYPE_F32 ? 0 : PONDER_MATMUL_QUICK);
  ponder_device_router router{};
  router.n_experts = slots_.n_experts;
  router.top_k = slots_.top_k;
  router.n_group = static_cast<std::uint32_t>(c.n_group);
  router.topk_group = static_cast<std::uint32_t>(c.topk_group);
  router.sigmoid = c.scoring_func == ScoringFunc::sigmoid;
  router.noaux = c.topk_method == TopkMethod::noaux_tc;
  router.grouped = c.topk_method != TopkMethod::greedy && c.n_group > 1;
  router.normalise = c.norm_topk_prob && (router.noaux || c.num_experts_per_tok > 1);
  router.factor = !router.normalise || router.noaux ? static_cast<float>(c.routed_scaling_factor) : 1.0f;
  t.route(q, &router, scores_, w.e_score_correction_bias, &slots_, n_rows_);
  const ponder_device_matrix* of_all[] = {&w.mlp.gate.matrix, &w.mlp.up.matrix, &w.mlp.down.matrix};
  t.experts(q, residual_, normed_, &w.experts.gate.matrix, &w.experts.up.matrix, &w.experts.down.matrix, shared ? of_all : nullptr, &slots_,
            n_rows_);
  if (!tap_) return {};
  std::vector<std::int32_t> ids(n_rows_ * slots_.top_k);
  std::vector<float> chosen(ids.size());
  PONDER_TRY(queue_.wait());
  PONDER_TRY(ctx_.device->download(ids.data(), slots_.ids, ids.size() * sizeof(std::int32_t)));
  PONDER_TRY(ctx_.device->download(chosen.data(), slots_.weights, chosen.size() * sizeof(float)));
  tap_->on_i32("moe." + std::to_string(index) + ".ids", ids.data(), n_rows_, slots_.top_k);
  tap_->on_f32("moe." + std::to_string(index) + ".weights", Tensor(chosen.data(), n_rows_, slots_.top_k));
  return {};
}

// Routed experts of a layer that stay in RAM: router and experts run on the CPU, while the device does the shared ones.
Status DeviceForward::experts_on_host(const DeviceLayer& w, std::size_t index) {
  Scratch& s = *scratch_;
  const ponder_device_rows& normed = activation_ == PONDER_TYPE_F32 ? normed_ : normed32_;
  if (host_rows_.size_bytes() == 0) {
    PONDER_ASSIGN(host_rows_, ctx_.device->allocate_host(options_.max_rows * normed.stride * sizeof(float)));
  }
  auto* rows = host_rows_.as<float>();
  const std::size_t n_bytes = n_rows_ * normed.stride * sizeof(float);
  queue_.table().queue_download(queue_.handle(), rows, normed.data, n_bytes);
  PONDER_TRY(queue_.wait());
  for (std::size_t i = 0; i < n_rows_; ++i) std::memcpy(s.normed.row(i), rows + i * normed.stride, width_ * sizeof(float));
  ffn_moe(ctx_, model_->config(), w.host_moe, n_rows_, index, s, tap_);
  for (std::size_t i = 0; i < n_rows_; ++i) std::memcpy(rows + i * normed.stride, s.block_out.row(i), width_ * sizeof(float));
  queue_.table().queue_upload(queue_.handle(), block_out_.data, rows, n_bytes);
  queue_.table().add(queue_.handle(), residual_, block_out_, n_rows_, width_);
  return {};
}

void DeviceForward::enqueue_head() {
  const ponder_device_table& t = queue_.table();
  const std::int32_t* rows = inputs_.as<std::int32_t>() + 4 * options_.max_rows;
  const ponder_device_rows none{};
  t.rms_norm(queue_.handle(), normed_, activation_ != PONDER_TYPE_F32 ? normed32_ : none, residual_, weights_->norm(), n_rows_, width_,
             static_cast<float>(model_->config().rms_norm_eps));
  if (logits_rows_ == 0) return;
  t.gather(queue_.handle(), picked_, normed_, rows, logits_rows_, width_);
  t.matmul(queue_.handle(), logits_, picked_, &weights_->lm_head().matrix, nullptr, logits_rows_, 0);
}

Status DeviceForward::advance(Forward::Clock::time_point deadline) {
  const ponder_device_table& t = queue_.table();
  const std::size_t n_layers = weights_->layers().size();
  const auto cancelled = [&] { return ctx_.cancelled(); };
  const bool whole = deadline == Forward::Clock::time_point::max();
  if (cancelled()) {
    (void)queue_.wait();
    return Status(Code::cancelled, "cancelled");
  }
  // A decode step has the same operations every time: recorded the second time, and played from then on.
  if (!embedded_ && !tap_ && one_row_each_ && !scratch_) {
    const bool full = graphs_.size() >= kMaxGraphs && graphs_.find({n_rows_, logits_rows_}) == graphs_.end();
    if (!full) {
      Graph& graph = graphs_[{n_rows_, logits_rows_}];
      if (graph.graph && graph.generation != t.generation(queue_.handle())) {
        t.graph_destroy(queue_.handle(), graph.graph);
        graph = {};
      }
      if (!graph.graph && graph.n_seen++ > 0 && t.graph_begin(queue_.handle()) == 0) {
        enqueue_embedding();
        for (std::size_t i = 0; i < n_layers; ++i) PONDER_TRY(enqueue_layer(i));
        enqueue_head();
        graph.graph = t.graph_end(queue_.handle());
        graph.generation = t.generation(queue_.handle());
      }
      if (graph.graph) {
        t.graph_launch(queue_.handle(), graph.graph);
        layer_ = n_layers;
        return finish();
      }
    }
  }
  if (!embedded_) {
    enqueue_embedding();
    embedded_ = true;
    if (tap_) PONDER_TRY(tap_f32("hidden.0", residual_, width_));
  }
  while (layer_ < n_layers) {
    if (cancelled()) {
      (void)queue_.wait();
      return Status(Code::cancelled, "cancelled");
    }
    PONDER_TRY(enqueue_layer(layer_));
    ++layer_;
    if (tap_) PONDER_TRY(tap_f32("hidden." + std::to_string(layer_), residual_, width_));
    if (whole) continue;
    PONDER_TRY(queue_.wait());
    if (layer_ < n_layers && Forward::Clock::now() >= deadline) return Status(Code::pending, {});
  }
  enqueue_head();
  return finish();
}

Status DeviceForward::finish() {
  if (logits_rows_ > 0) {
    const std::size_t row = vocab_ * sizeof(float);
    if (logits_.stride == vocab_)
      queue_.table().queue_download(queue_.handle(), host_logits_.data(), logits_.data, logits_rows_ * row);
    else
      for (std::size_t i = 0; i < logits_rows_; ++i)
        queue_.table().queue_download(queue_.handle(), host_logits_.data() + i * row,
                                      static_cast<float*>(logits_.data) + i * logits_.stride, row);
  }
  PONDER_TRY(queue_.wait());
  if (tap_) PONDER_TRY(tap_f32("hidden.final_norm", activation_ == PONDER_TYPE_F32 ? normed_ : normed32_, width_));
  return {};
}

Tensor DeviceForward::hidden(bool normed) const {
  const ponder_device_rows& rows = !normed ? residual_ : activation_ == PONDER_TYPE_F32 ? normed_ : normed32_;
  hidden_.resize(n_rows_ * rows.stride);
  if (!ctx_.device->download(hidden_.data(), rows.data, hidden_.size() * sizeof(float)).ok())
    std::fill(hidden_.begin(), hidden_.end(), std::numeric_limits<float>::quiet_NaN());
  return Tensor(hidden_.data(), n_rows_, width_, rows.stride);
}

}  // namespace ponder::core
