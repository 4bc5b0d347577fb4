#include "lib/model/device_model.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "lib/base/format.h"
#include "lib/ops/weight_rows.h"

namespace ponder::core {

namespace {

constexpr std::size_t kRowAlignment = 16;
constexpr std::uint64_t kReserveBytes = std::uint64_t{1} << 30;  // of free memory, for caches and scratch of sessions
constexpr std::size_t kStagingBytes = std::size_t{64} << 20;

std::size_t size(std::int64_t value) { return static_cast<std::size_t>(value); }

}  // namespace

// One upload; collects what it made in `model`.
class DeviceUploader {
 public:
  DeviceUploader(const Context& ctx, ops::Device& device, bool exact, DeviceModel& model)
      : ctx_(ctx), device_(device), exact_(exact), model_(model) {
    for (std::size_t i = 0; i < kDTypeCount; ++i) supported_.push_back(device.supports(static_cast<DType>(i)));
  }
  const std::vector<bool>& supported() const { return supported_; }

  Status run(const Model& model) {
    const ModelWeights& w = model.weights();
    const Config& c = model.config();
    PONDER_TRY(matrix(model_.embed_tokens_, {&w.embed_tokens}));
    if (w.lm_head.data != w.embed_tokens.data) PONDER_TRY(matrix(model_.lm_head_, {&w.lm_head}));
    PONDER_TRY(vector(model_.norm_, w.norm, size(c.hidden_size)));
    model_.layers_.resize(w.layers.size());
    for (std::size_t i = 0; i < w.layers.size(); ++i)
      PONDER_TRY(layer(c, w.layers[i], model_.placement_.experts_on_device[i], model_.layers_[i]));
    return {};
  }

 private:
  Status layer(const Config& c, const LayerWeights& w, bool experts_on_device, DeviceLayer& to) {
    const std::size_t hidden = size(c.hidden_size);
    const AttentionWeights& a = w.self_attn;
    PONDER_TRY(vector(to.input_layernorm, w.input_layernorm, hidden));
    PONDER_TRY(vector(to.post_attention_layernorm, w.post_attention_layernorm, hidden));
    if (c.is_mla()) {
      if (a.q_proj.empty()) {
        PONDER_TRY(projections(to.projections, {{&a.q_a_proj, a.q_a_proj_bias}, {&a.kv_a_proj_with_mqa, a.kv_a_proj_bias}}));
        PONDER_TRY(vector(to.q_a_layernorm, a.q_a_layernorm, a.q_a_proj.n_out));
        PONDER_TRY(matrix(to.q_b_proj, {&a.q_b_proj}));
      } else {
        PONDER_TRY(projections(to.projections, {{&a.q_proj, nullptr}, {&a.kv_a_proj_with_mqa, a.kv_a_proj_bias}}));
      }
      PONDER_TRY(vector(to.kv_a_layernorm, a.kv_a_layernorm, size(c.kv_lora_rank)));
      PONDER_TRY(heads(to.kv_b_proj, c, a));
    } else {
      PONDER_TRY(projections(to.projections, {{&a.q_proj, a.q_proj_bias}, {&a.k_proj, a.k_proj_bias}, {&a.v_proj, a.v_proj_bias}}));
    }
    PONDER_TRY(matrix(to.o_proj, {&a.o_proj}));
    PONDER_TRY(vector(to.o_proj_bias, a.o_proj_bias, hidden));
    const bool is_moe = !w.moe.experts.empty();
    PONDER_TRY(mlp(to.mlp, is_moe ? w.moe.shared_experts : w.mlp));
    if (!is_moe) return {};
    if (!experts_on_device) {
      to.host_moe.gate = w.moe.gate;
      to.host_moe.e_score_correction_bias = w.moe.e_score_correction_bias;
      to.host_moe.experts = w.moe.experts;
      return {};
    }
    PONDER_TRY(matrix(to.router, {&w.moe.gate}, false, !exact_, DType::f32));  // f32 products are quickest with f32 weights
    PONDER_TRY(vector(to.e_score_correction_bias, w.moe.e_score_correction_bias, w.moe.experts.size()));
    std::vector<const Weight*> gate, up, down;
    for (const MlpWeights& expert : w.moe.experts)
      gate.push_back(&expert.gate_proj), up.push_back(&expert.up_proj), down.push_back(&expert.down_proj);
    PONDER_TRY(gate_and_up(to.experts, gate, up));
    return matrix(to.experts.down, down, true);
  }

  Status mlp(DeviceMlp& to, const MlpWeights& w) {
    if (w.gate_proj.empty()) return {};
    PONDER_TRY(gate_and_up(to, {&w.gate_proj}, {&w.up_proj}));
    return matrix(to.down, {&w.down_proj});
  }

  // Both in one type, each up behind its gate, so that they can be one product of twice the height.
  Status gate_and_up(DeviceMlp& to, const std::vector<const Weight*>& gate, const std::vector<const Weight*>& up) {
    std::vector<const Weight*> both;
    for (std::size_t i = 0; i < gate.size(); ++i) both.push_back(gate[i]), both.push_back(up[i]);
    PONDER_TRY(matrix(to.gate, both, true));
    ponder_device_matrix &g = to.gate.matrix, &u = to.up.matrix;
    u = g;
    u.data = static_cast<const std::byte*>(g.data) + g.stack_bytes;
    if (g.scale_inv) u.scale_inv = g.scale_inv + g.stack_scales;
    g.n_stacked = u.n_stacked = gate.size();
    g.stack_bytes = u.stack_bytes = 2 * g.stack_bytes;
    g.stack_scales = u.stack_scales = 2 * g.stack_scales;
    return {};
  }

  Status vector(const float*& to, const float* from, std::size_t n) {
    if (!from) return {};
    PONDER_ASSIGN(ops::DeviceBuffer buffer, device_.allocate(n * sizeof(float)));
    PONDER_TRY(device_.upload(buffer.data(), from, n * sizeof(float)));
    to = buffer.as<float>();
    model_.vectors_.push_back(std::move(buffer));
    return {};
  }

  struct Projection {
    const Weight* w;
    const float* bias;
  };
  Status projections(DeviceProjections& to, const std::vector<Projection>& from) {
    bool joins = true, any_bias = false;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const Weight& w = *from[i].w;
      any_bias = any_bias || from[i].bias;
      joins = joins && w.type == from[0].w->type && as_it_is(w) && (!w.scale_inv || i + 1 == from.size() || w.n_out % 128 == 0);
      to.n_cols += w.n_out;
    }
    if (any_bias) {
      std::vector<float> bias;
      for (const Projection& p : from) {
        if (p.bias) bias.insert(bias.end(), p.bias, p.bias + p.w->n_out);
        else bias.resize(bias.size() + p.w->n_out);
      }
      PONDER_TRY(vector(to.bias, bias.data(), bias.size()));
    }
    if (joins) {
      std::vector<const Weight*> all;
      for (const Projection& p : from) all.push_back(p.w);
      to.parts.resize(1);
      return matrix(to.parts[0].w, all);
    }
    std::size_t col = 0;
    for (const Projection& p : from) {
      to.parts.emplace_back();
      PONDER_TRY(matrix(to.parts.back().w, {p.w}));
      to.parts.back().first_col = col;
      col += p.w->n_out;
    }
    return {};
  }

  // The device multiplies it in its own type. (Scales are found by absolute row, so that a slice must begin at a block.)
  bool as_it_is(const Weight& w) const { return supported_[static_cast<std::size_t>(w.type)] && w.first_row % 128 == 0; }

  static bool mixed(const std::vector<const Weight*>& from) {
    return std::any_of(from.begin(), from.end(), [&](const Weight* w) { return w->type != from[0]->type; });
  }

  // Matrices of one width: one below the other as one matrix, or stacked (all of one height). As they are where they have one type
  // that the device knows, else converted.
  Status matrix(DeviceMatrix& to, const std::vector<const Weight*>& from, bool stacked = false, bool convert = false,
                DType into = DType::f16) {
    const Weight& first = *from[0];
    const bool as_is = !convert && !mixed(from) && std::all_of(from.begin(), from.end(), [&](const Weight* w) { return as_it_is(*w); });
    const DType type = as_is ? first.type : exact_ ? DType::f32 : into;
    std::size_t n_rows = 0;
    for (const Weight* w : from) {
      if (w->n_in != first.n_in || (stacked && w->n_out != first.n_out))
        return fail(Code::unsupported, "weights that the device wants together: {} [{}, {}] and {} [{}, {}]", dtype_name(first.type),
                    first.n_out, first.n_in, dtype_name(w->type), w->n_out, w->n_in);
      n_rows += w->n_out;
    }
    const std::size_t row = row_bytes(type, first.n_in), padded = (row + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
    PONDER_ASSIGN(to.memory, device_.allocate(n_rows * padded));
    std::size_t at = 0;
    for (const Weight* w : from) {
      PONDER_TRY(as_is ? rows_as_they_are(to.memory.data() + at, *w, padded) : rows_converted(to.memory.data() + at, *w, type, padded));
      at += w->n_out * padded;
    }
    ponder_device_matrix& m = to.matrix;
    m.data = to.memory.data();
    m.type = static_cast<std::uint32_t>(type);
    m.n_in = first.n_in;
    m.n_out = stacked ? first.n_out : n_rows;
    m.n_stacked = stacked ? from.size() : 1;
    m.row_bytes = padded;
    m.stack_bytes = m.n_out * padded;
    m.n_scale_cols = static_cast<std::uint32_t>(first.n_scale_cols());
    if (!as_is || !first.scale_inv) return {};
    std::vector<float> scales;
    for (const Weight* w : from) {
      const float* rows = w->scale_inv + w->first_row / 128 * w->n_scale_cols();
      scales.insert(scales.end(), rows, rows + (w->n_out + 127) / 128 * w->n_scale_cols());
    }
    PONDER_ASSIGN(to.scales, device_.allocate(scales.size() * sizeof(float)));
    PONDER_TRY(device_.upload(to.scales.data(), scales.data(), scales.size() * sizeof(float)));
    m.scale_inv = to.scales.as<float>();
    m.stack_scales = (first.n_out + 127) / 128 * first.n_scale_cols();
    return {};
  }

  Status rows_as_they_are(std::byte* to, const Weight& w, std::size_t padded) {
    const std::size_t row = w.row_stride_bytes();
    const std::byte* from = w.data + w.first_row * row;
    if (row == padded) return device_.upload(to, from, w.n_out * row);
    staging_.assign(w.n_out * padded, std::byte{0});
    for (std::size_t i = 0; i < w.n_out; ++i) std::memcpy(staging_.data() + i * padded, from + i * row, row);
    return device_.upload(to, staging_.data(), staging_.size());
  }

  Status rows_converted(std::byte* to, const Weight& w, DType type, std::size_t padded) {
    const std::size_t per_part = std::max<std::size_t>(1, kStagingBytes / (w.n_in * sizeof(float)));
    for (std::size_t first = 0; first < w.n_out; first += per_part) {
      const std::size_t n = std::min(per_part, w.n_out - first);
      floats_.resize(n * w.n_in);
      Weight rows = w;  // dequantize counts from row 0 of the whole matrix
      ops::dequantize(ctx_, Tensor(floats_.data(), n, w.n_in), rows, w.first_row + first);
      staging_.assign(n * padded, std::byte{0});
      for (std::size_t i = 0; i < n; ++i) put(staging_.data() + i * padded, floats_.data() + i * w.n_in, w.n_in, type);
      PONDER_TRY(device_.upload(to + first * padded, staging_.data(), staging_.size()));
    }
    return {};
  }

  void put(std::byte* to, const float* from, std::size_t n, DType type) const {
    if (type == DType::f16) ctx_.kernels->f32_to_f16(to, from, n);
    else if (type == DType::bf16) ctx_.kernels->f32_to_bf16(to, from, n);
    else std::memcpy(to, from, n * sizeof(float));
  }

  // kv_b_proj as [heads][nope + v, rank], from either of its forms; other types than f32, f16 and bf16 become f32 or bf16.
  Status heads(DeviceMatrix& to, const Config& c, const AttentionWeights& a) {
    const std::size_t heads = size(c.num_attention_heads), nope = size(c.qk_nope_head_dim), v = size(c.v_head_dim);
    const std::size_t rank = size(c.kv_lora_rank), rows = nope + v;
    const auto plain = [](DType t) { return t == DType::f32 || t == DType::f16 || t == DType::bf16; };
    const DType from = a.k_b_proj.empty() ? a.kv_b_proj.type
                       : a.k_b_proj.type == a.v_b_proj.type ? a.k_b_proj.type : DType::q8_0;
    const DType type = plain(from) ? from : exact_ ? DType::f32 : DType::bf16;
    const std::size_t row = row_bytes(type, rank), padded = (row + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
    PONDER_ASSIGN(to.memory, device_.allocate(heads * rows * padded));
    for (std::size_t h = 0; h < heads; ++h) {
      floats_.resize(rows * rank);
      const Tensor all(floats_.data(), rows, rank);
      if (a.k_b_proj.empty()) {
        ops::dequantize(ctx_, all, a.kv_b_proj, a.kv_b_proj.first_row + h * rows);
      } else {
        transposed_.resize(rank * nope);
        ops::dequantize(ctx_, Tensor(transposed_.data(), rank, nope), a.k_b_proj, a.k_b_proj.first_row + h * rank);
        for (std::size_t r = 0; r < rank; ++r)
          for (std::size_t d = 0; d < nope; ++d) all.row(d)[r] = transposed_[r * nope + d];
        ops::dequantize(ctx_, all.rows(nope, v), a.v_b_proj, a.v_b_proj.first_row + h * v);
      }
      staging_.assign(rows * padded, std::byte{0});
      for (std::size_t i = 0; i < rows; ++i) put(staging_.data() + i * padded, all.row(i), rank, type);
      PONDER_TRY(device_.upload(to.memory.data() + h * rows * padded, staging_.data(), staging_.size()));
    }
    to.matrix = {to.memory.data(), nullptr, rows, rank, padded, heads, rows * padded, 0, static_cast<std::uint32_t>(type), 0};
    return {};
  }

  const Context& ctx_;
  ops::Device& device_;
  bool exact_;
  DeviceModel& model_;
  std::vector<bool> supported_;
  std::vector<float> floats_, transposed_;
  std::vector<std::byte> staging_;
};

Result<std::shared_ptr<const DeviceModel>> DeviceModel::create(const Model& model, const Context& ctx,
                                                               std::shared_ptr<ops::Device> device, const Options& options) {
  std::shared_ptr<DeviceModel> made(new DeviceModel);
  made->device_ = std::move(device);
  DeviceUploader uploader(ctx, *made->device_, options.exact, *made);
  PONDER_ASSIGN(const ponder_device_info info, made->device_->info());
  std::uint64_t budget = info.free_bytes > kReserveBytes ? info.free_bytes - kReserveBytes : info.free_bytes / 2;
  if (options.max_bytes > 0) budget = std::min(budget, options.max_bytes);
  PONDER_ASSIGN(made->placement_, place(model.weights(), uploader.supported(), options.exact, budget, options.max_expert_layers));
  PONDER_TRY(uploader.run(model));
  return std::shared_ptr<const DeviceModel>(std::move(made));
}

Result<std::shared_ptr<const DeviceModel>> DeviceModel::shared(const Model& model, const Context& ctx) {
  Options options;
  options.exact = ctx.compute == Compute::exact;
  const auto number = [](const char* name, auto& to) -> Status {
    const char* text = std::getenv(name);
    if (!text) return {};
    char* end = nullptr;
    const long long value = std::strtoll(text, &end, 10);
    if (end == text || *end != '\0' || value < 0) return fail(Code::invalid_argument, "{} is '{}', want a number", name, text);
    to = static_cast<std::remove_reference_t<decltype(to)>>(value);
    return {};
  };
  PONDER_TRY(number("PONDER_DEVICE_BYTES", options.max_bytes));
  PONDER_TRY(number("PONDER_DEVICE_EXPERT_LAYERS", options.max_expert_layers));
  const std::function<Result<std::shared_ptr<const DeviceModel>>()> make = [&] { return create(model, ctx, ctx.device, options); };
  return ctx.device->shared<DeviceModel>({&model, options.exact}, make);
}

}  // namespace ponder::core
