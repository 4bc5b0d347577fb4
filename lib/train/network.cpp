#include "lib/train/network.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/base/format.h"
#include "lib/model/decoder_layer.h"
#include "lib/train/row_ops.h"

namespace ponder::core {

namespace {

constexpr double kLoraNormEps = 1e-6;           // as in lib/model/attention_mla.cpp
constexpr std::size_t kQueryRows = 64;          // of one block of attention scores
constexpr std::size_t kLogitsOfChunk = 1 << 20;  // of the head, which never holds all rows times the vocabulary

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

// A matrix with memory of its own, kept for the next batch.
template <class S>
struct Grid : Matrix<S> {
  std::vector<S> memory;
  const Matrix<S>& make(std::size_t rows_, std::size_t cols_) {
    if (memory.size() < rows_ * cols_) memory.resize(rows_ * cols_);
    static_cast<Matrix<S>&>(*this) = Matrix<S>(memory.data(), rows_, cols_);
    return *this;
  }
  const Matrix<S>& make_zero(std::size_t rows_, std::size_t cols_) {
    make(rows_, cols_);
    std::fill_n(memory.begin(), rows_ * cols_, S(0));
    return *this;
  }
};

// What a gated FFN keeps.
template <class S>
struct KeptMlp {
  Grid<S> gate, up, inner;
};

// What a layer keeps of its forward pass, beside its input.
template <class S>
struct KeptLayer {
  std::vector<S> inv_in, inv_q, inv_kv, inv_post;
  Grid<S> normed_in, q_a, q_a_normed, q, kv_a, latent, kv, k, v, heads;
  Grid<S> middle, normed_post;  // the residual stream between the two blocks
  KeptMlp<S> mlp;               // dense, or shared experts
  // MoE; slots are (token, choice) pairs sorted by expert.
  Grid<S> scores, weights, expert_in, expert_out;
  KeptMlp<S> experts;
  std::vector<std::int32_t> ids;            // [n_rows, top_k]
  std::vector<std::size_t> slot_of;         // [n_rows * top_k]
  std::vector<std::size_t> pair_of;         // [slots]: token * top_k + choice
  std::vector<std::size_t> first_of_expert;  // [n_experts + 1]
};

template <class S>
Matrix<S> view(S* data, const Weight& w) {
  return Matrix<S>(data, w.n_out, w.n_in);
}

}  // namespace

void TrainBatch::clear() {
  token_ids.clear();
  starts.clear();
  pick_rows.clear();
  picks.clear();
  routing.clear();
}

void TrainBatch::add(std::span<const TokenId> ids, std::size_t first_pick) {
  const std::size_t start = token_ids.size();
  starts.push_back(start);
  token_ids.insert(token_ids.end(), ids.begin(), ids.end());
  for (std::size_t i = std::max<std::size_t>(first_pick, 1); i < ids.size(); ++i) {
    pick_rows.push_back(start + i - 1);
    picks.push_back(ids[i]);
  }
}

template <class S>
struct Network<S>::State {
  Context ctx;
  const Parameters& parameters;
  NetworkOptions options;
  const Config& c;
  Rope rope;
  GateRule gate_rule;
  std::size_t n_rows = 0;
  const TrainBatch* batch = nullptr;
  ParameterView<const S> w;
  ParameterView<S> dw;
  double temperature = 1;

  Grid<S> cos, sin;
  std::vector<Grid<S>> residual;       // the input of each layer, and the last one's output
  std::vector<KeptLayer<S>> kept;      // of each layer, or one that all use when they are recomputed
  Grid<S> block_out, final_normed, picked, chunk;
  std::vector<S> inv_final;
  std::vector<double> log_sums;
  std::vector<std::vector<std::int64_t>> loads;
  std::vector<std::vector<std::int32_t>> chosen;
  // Gradients.
  Grid<S> d, dnormed, dheads, dq, dk, dv, dkv, dkv_a, dlatent, dq_a, dq_a_normed, dinner, dup, dexpert, dexpert_in,
      dexpert_inner, dexpert_up, dweights, dlogits, dpicked, dchunk;
  std::vector<S> lanes;

  State(const Context& ctx_, const Parameters& p, const NetworkOptions& o)
      : ctx(ctx_), parameters(p), options(o), c(p.config()), rope(Rope::create(p.config())) {
    ctx.compute = Compute::exact;
    ctx.low_ranks = nullptr;
    const bool noaux = c.topk_method == TopkMethod::noaux_tc;
    gate_rule.sigmoid = c.scoring_func == ScoringFunc::sigmoid;
    gate_rule.normalised = c.norm_topk_prob && (noaux || c.num_experts_per_tok > 1);
    gate_rule.factor = !gate_rule.normalised || noaux ? c.routed_scaling_factor : 1;
    residual.resize(n_layers() + 1);
    kept.resize(options.recompute ? 1 : n_layers());
    loads.resize(n_layers());
    chosen.resize(n_layers());
  }

  std::size_t n_layers() const { return size(c.num_hidden_layers); }
  std::size_t hidden() const { return size(c.hidden_size); }
  std::size_t heads() const { return size(c.num_attention_heads); }
  std::size_t kv_heads() const { return c.is_mla() ? heads() : size(c.num_key_value_heads); }
  std::size_t key_dims() const { return size(c.is_mla() ? c.qk_head_dim() : c.head_dim); }
  std::size_t value_dims() const { return size(c.is_mla() ? c.v_head_dim : c.head_dim); }
  const ModelWeights& weights() const { return parameters.weights(); }

  // Products read their factors only: one type of matrix keeps them short.
  Matrix<S> factor(const Weight& weight) const { return view(const_cast<S*>(w.of(weight)), weight); }
  LinearRows<S> linear(const Matrix<S>& y, const Matrix<S>& x, const Weight& weight, const float* bias = nullptr) const {
    return {y, x, factor(weight), w.of(bias)};
  }
  LinearGrad<S> grad(const Matrix<S>& dy, const Matrix<S>& x, const Weight& weight, const Matrix<S>& dx, bool add_dx = false,
                     const float* bias = nullptr) const {
    return {dy, x, factor(weight), dx, add_dx, dw.of(weight), dw.of(bias)};
  }

  void set_positions() {
    const std::size_t n_pairs = rope.inverse_frequencies.size();
    cos.make(n_rows, n_pairs);
    sin.make(n_rows, n_pairs);
    for (std::size_t s = 0; s < batch->starts.size(); ++s)
      for (std::size_t t = batch->starts[s]; t < end_of(s); ++t)
        for (std::size_t i = 0; i < n_pairs; ++i) {
          const double angle = static_cast<double>(t - batch->starts[s]) * rope.inverse_frequencies[i];
          cos.row(t)[i] = static_cast<S>(std::cos(angle) * rope.cos_sin_factor);
          sin.row(t)[i] = static_cast<S>(std::sin(angle) * rope.cos_sin_factor);
        }
  }
  std::size_t end_of(std::size_t sequence) const {
    return sequence + 1 < batch->starts.size() ? batch->starts[sequence + 1] : n_rows;
  }
  // The rotated part of `n_heads` heads that lie `step` apart in every row of x, from column `first` on.
  void rotate_rows(const Matrix<S>& x, std::size_t first, std::size_t step, std::size_t n_heads, bool interleaved,
                   int direction) const {
    ops::for_rows(ctx, n_rows, 2 * n_heads * step, [&](std::size_t begin, std::size_t count) {
      for (std::size_t t = begin; t < begin + count; ++t)
        rotate(x.row(t) + first, step, n_heads, cos.row(t), sin.row(t), cos.n_cols, interleaved, direction);
    });
  }

  // --- attention: softmax(q k^T scale) v, causal, per sequence and head ---

  // body(sequence, key head, lane's memory)
  template <class F>
  void for_heads(std::size_t n_scratch_matrices, F&& body) {
    std::size_t longest = 0;
    for (std::size_t s = 0; s < batch->starts.size(); ++s) longest = std::max(longest, end_of(s) - batch->starts[s]);
    const std::size_t n_tasks = batch->starts.size() * kv_heads();
    const std::size_t n_lanes = std::min<std::size_t>(n_tasks, size(ctx.pool->n_threads()));
    const std::size_t lane_size = n_scratch_matrices * kQueryRows * longest;
    if (lanes.size() < n_lanes * lane_size) lanes.resize(n_lanes * lane_size);
    ops::for_tasks_in_lanes(ctx, n_tasks, n_lanes, [&](std::size_t task, std::size_t lane) {
      body(task / kv_heads(), task % kv_heads(), lanes.data() + lane * lane_size);
    });
  }

  // Row r of the block is query first + r, which sees keys [0, first + r].
  void softmax_causal(const Matrix<S>& p, std::size_t first) const {
    const S scale = static_cast<S>(rope.attention_scale);
    for (std::size_t r = 0; r < p.n_rows; ++r) {
      S* row = p.row(r);
      const std::size_t n = first + r + 1;
      const S largest = *std::max_element(row, row + n);
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(row[i] = std::exp((row[i] - largest) * scale));
      const S inverse = static_cast<S>(1 / sum);
      for (std::size_t i = 0; i < n; ++i) row[i] *= inverse;
      std::fill(row + n, row + p.n_cols, S(0));
    }
  }

  void attend(const KeptLayer<S>& l) {
    const std::size_t dims = key_dims(), v_dims = value_dims(), group = heads() / kv_heads();
    for_heads(1, [&](std::size_t s, std::size_t kv_head, S* memory) {
      const std::size_t start = batch->starts[s], n = end_of(s) - start;
      const Matrix<S> k = l.k.rows(start, n).cols(kv_head * dims, dims), v = l.v.rows(start, n).cols(kv_head * v_dims, v_dims);
      for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
        for (std::size_t first = 0; first < n; first += kQueryRows) {
          const std::size_t count = std::min(kQueryRows, n - first), seen = first + count;
          const Matrix<S> p(memory, count, seen);
          matmul_serial(ctx, p, l.q.rows(start + first, count).cols(head * dims, dims), k.rows(0, seen));
          softmax_causal(p, first);
          vecmat_serial(ctx, l.heads.rows(start + first, count).cols(head * v_dims, v_dims), p, v.rows(0, seen), false);
        }
    });
  }

  // dq, dk, dv from dheads; the probabilities are computed again.
  void attend_grad(const KeptLayer<S>& l) {
    const std::size_t dims = key_dims(), v_dims = value_dims(), group = heads() / kv_heads();
    dq.make(n_rows, heads() * dims);
    dk.make_zero(n_rows, kv_heads() * dims);
    dv.make_zero(n_rows, kv_heads() * v_dims);
    for_heads(3, [&](std::size_t s, std::size_t kv_head, S* memory) {
      const std::size_t start = batch->starts[s], n = end_of(s) - start;
      const Matrix<S> k = l.k.rows(start, n).cols(kv_head * dims, dims), v = l.v.rows(start, n).cols(kv_head * v_dims, v_dims);
      const Matrix<S> k_grad = dk.rows(start, n).cols(kv_head * dims, dims),
                      v_grad = dv.rows(start, n).cols(kv_head * v_dims, v_dims);
      for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
        for (std::size_t first = 0; first < n; first += kQueryRows) {
          const std::size_t count = std::min(kQueryRows, n - first), seen = first + count;
          const Matrix<S> p(memory, count, seen), ds(memory + count * seen, count, seen);
          const Matrix<S> turned(memory + 2 * count * seen, seen, count);
          const auto turn = [&](const Matrix<S>& from) {
            for (std::size_t r = 0; r < count; ++r)
              for (std::size_t i = 0; i < seen; ++i) turned.row(i)[r] = from.row(r)[i];
          };
          const Matrix<S> q = l.q.rows(start + first, count).cols(head * dims, dims);
          const Matrix<S> out_grad = dheads.rows(start + first, count).cols(head * v_dims, v_dims);
          matmul_serial(ctx, p, q, k.rows(0, seen));
          softmax_causal(p, first);
          turn(p);
          vecmat_serial(ctx, v_grad.rows(0, seen), turned, out_grad, true);
          matmul_serial(ctx, ds, out_grad, v.rows(0, seen));
          // dS = P (dP - sum(dP P)) scale
          for (std::size_t r = 0; r < count; ++r) {
            double sum = 0;
            for (std::size_t i = 0; i < seen; ++i) sum += static_cast<double>(ds.row(r)[i] * p.row(r)[i]);
            for (std::size_t i = 0; i < seen; ++i)
              ds.row(r)[i] = p.row(r)[i] * (ds.row(r)[i] - static_cast<S>(sum)) * static_cast<S>(rope.attention_scale);
          }
          vecmat_serial(ctx, dq.rows(start + first, count).cols(head * dims, dims), ds, k.rows(0, seen), false);
          turn(ds);
          vecmat_serial(ctx, k_grad.rows(0, seen), turned, q, true);
        }
    });
  }

  // --- GQA ---

  void gqa(const AttentionWeights& a, KeptLayer<S>& l) {
    const std::size_t dim = size(c.head_dim);
    l.q.make(n_rows, heads() * dim);
    l.k.make(n_rows, kv_heads() * dim);
    l.v.make(n_rows, kv_heads() * dim);
    const LinearRows<S> projections[] = {linear(l.q, l.normed_in, a.q_proj, a.q_proj_bias),
                                         linear(l.k, l.normed_in, a.k_proj, a.k_proj_bias),
                                         linear(l.v, l.normed_in, a.v_proj, a.v_proj_bias)};
    linears<S>(ctx, projections);
    rotate_rows(l.q, 0, dim, heads(), c.rope_interleave, 1);
    rotate_rows(l.k, 0, dim, kv_heads(), c.rope_interleave, 1);
  }
  void gqa_grad(const AttentionWeights& a, const KeptLayer<S>& l) {
    const std::size_t dim = size(c.head_dim);
    rotate_rows(dq, 0, dim, heads(), c.rope_interleave, -1);
    rotate_rows(dk, 0, dim, kv_heads(), c.rope_interleave, -1);
    const LinearGrad<S> all[] = {grad(dq, l.normed_in, a.q_proj, dnormed, false, a.q_proj_bias),
                                 grad(dk, l.normed_in, a.k_proj, dnormed, true, a.k_proj_bias),
                                 grad(dv, l.normed_in, a.v_proj, dnormed, true, a.v_proj_bias)};
    linear_grads<S>(ctx, all);
  }

  // --- MLA ---

  void mla(const AttentionWeights& a, KeptLayer<S>& l) {
    const std::size_t nope = size(c.qk_nope_head_dim), pe = size(c.qk_rope_head_dim), qk = nope + pe;
    const std::size_t rank = size(c.kv_lora_rank), v_dims = value_dims();
    l.q.make(n_rows, heads() * qk);
    l.kv_a.make(n_rows, rank + pe);
    const LinearRows<S> kv_a = linear(l.kv_a, l.normed_in, a.kv_a_proj_with_mqa, a.kv_a_proj_bias);
    if (a.q_a_proj.empty()) {
      const LinearRows<S> first[] = {linear(l.q, l.normed_in, a.q_proj), kv_a};
      linears<S>(ctx, first);
    } else {
      l.q_a.make(n_rows, size(c.q_lora_rank));
      l.q_a_normed.make(n_rows, size(c.q_lora_rank));
      l.inv_q.resize(n_rows);
      const LinearRows<S> first[] = {linear(l.q_a, l.normed_in, a.q_a_proj, a.q_a_proj_bias), kv_a};
      linears<S>(ctx, first);
      rms_norm<S>(ctx, l.q_a_normed, l.inv_q.data(), l.q_a, w.of(a.q_a_layernorm), kLoraNormEps);
      const LinearRows<S> second[] = {linear(l.q, l.q_a_normed, a.q_b_proj)};
      linears<S>(ctx, second);
    }
    l.latent.make(n_rows, rank);
    l.inv_kv.resize(n_rows);
    rms_norm<S>(ctx, l.latent, l.inv_kv.data(), l.kv_a.cols(0, rank), w.of(a.kv_a_layernorm), kLoraNormEps);
    l.kv.make(n_rows, heads() * (nope + v_dims));
    const LinearRows<S> expand[] = {linear(l.kv, l.latent, a.kv_b_proj)};
    linears<S>(ctx, expand);
    rotate_rows(l.q, nope, qk, heads(), true, 1);
    rotate_rows(l.kv_a, rank, pe, 1, true, 1);
    // Every head's key ends in the one rotated part.
    l.k.make(n_rows, heads() * qk);
    l.v.make(n_rows, heads() * v_dims);
    ops::for_rows(ctx, n_rows, heads() * (qk + v_dims), [&](std::size_t begin, std::size_t count) {
      for (std::size_t t = begin; t < begin + count; ++t)
        for (std::size_t h = 0; h < heads(); ++h) {
          const S* from = l.kv.row(t) + h * (nope + v_dims);
          std::copy_n(from, nope, l.k.row(t) + h * qk);
          std::copy_n(l.kv_a.row(t) + rank, pe, l.k.row(t) + h * qk + nope);
          std::copy_n(from + nope, v_dims, l.v.row(t) + h * v_dims);
        }
    });
  }
  void mla_grad(const AttentionWeights& a, const KeptLayer<S>& l) {
    const std::size_t nope = size(c.qk_nope_head_dim), pe = size(c.qk_rope_head_dim), qk = nope + pe;
    const std::size_t rank = size(c.kv_lora_rank), v_dims = value_dims();
    dkv.make(n_rows, heads() * (nope + v_dims));
    dkv_a.make_zero(n_rows, rank + pe);
    ops::for_rows(ctx, n_rows, heads() * (qk + v_dims), [&](std::size_t begin, std::size_t count) {
      for (std::size_t t = begin; t < begin + count; ++t)
        for (std::size_t h = 0; h < heads(); ++h) {
          const S* from = dk.row(t) + h * qk;
          S* to = dkv.row(t) + h * (nope + v_dims);
          std::copy_n(from, nope, to);
          for (std::size_t i = 0; i < pe; ++i) dkv_a.row(t)[rank + i] += from[nope + i];
          std::copy_n(dv.row(t) + h * v_dims, v_dims, to + nope);
        }
    });
    rotate_rows(dq, nope, qk, heads(), true, -1);
    rotate_rows(dkv_a, rank, pe, 1, true, -1);
    dlatent.make(n_rows, rank);
    const LinearGrad<S> expand[] = {grad(dkv, l.latent, a.kv_b_proj, dlatent)};
    linear_grads<S>(ctx, expand);
    rms_norm_grad<S>(ctx, dkv_a.cols(0, rank), dw.of(a.kv_a_layernorm), dlatent, l.kv_a.cols(0, rank), l.inv_kv.data(),
                     w.of(a.kv_a_layernorm));
    const LinearGrad<S> kv_a = grad(dkv_a, l.normed_in, a.kv_a_proj_with_mqa, dnormed, true, a.kv_a_proj_bias);
    if (a.q_a_proj.empty()) {
      const LinearGrad<S> first[] = {grad(dq, l.normed_in, a.q_proj, dnormed), kv_a};
      linear_grads<S>(ctx, first);
      return;
    }
    dq_a_normed.make(n_rows, size(c.q_lora_rank));
    dq_a.make_zero(n_rows, size(c.q_lora_rank));
    const LinearGrad<S> second[] = {grad(dq, l.q_a_normed, a.q_b_proj, dq_a_normed)};
    linear_grads<S>(ctx, second);
    rms_norm_grad<S>(ctx, dq_a, dw.of(a.q_a_layernorm), dq_a_normed, l.q_a, l.inv_q.data(), w.of(a.q_a_layernorm));
    const LinearGrad<S> first[] = {grad(dq_a, l.normed_in, a.q_a_proj, dnormed, false, a.q_a_proj_bias), kv_a};
    linear_grads<S>(ctx, first);
  }

  // --- FFN ---

  void mlp(const MlpWeights& m, KeptMlp<S>& k, const Matrix<S>& out, const Matrix<S>& in) {
    for (Grid<S>* grid : {&k.gate, &k.up, &k.inner}) grid->make(n_rows, m.gate_proj.n_out);
    const LinearRows<S> first[] = {linear(k.gate, in, m.gate_proj), linear(k.up, in, m.up_proj)};
    linears<S>(ctx, first);
    swiglu<S>(ctx, k.inner, k.gate, k.up);
    const LinearRows<S> second[] = {linear(out, k.inner, m.down_proj)};
    linears<S>(ctx, second);
  }
  // din is overwritten.
  void mlp_grad(const MlpWeights& m, const KeptMlp<S>& k, const Matrix<S>& din, const Matrix<S>& dout, const Matrix<S>& in) {
    dinner.make(n_rows, m.gate_proj.n_out);
    dup.make(n_rows, m.gate_proj.n_out);
    const LinearGrad<S> second[] = {grad(dout, k.inner, m.down_proj, dinner)};
    linear_grads<S>(ctx, second);
    swiglu_grad<S>(ctx, dinner, dup, dinner, k.gate, k.up);
    const LinearGrad<S> first[] = {grad(dinner, in, m.gate_proj, din), grad(dup, in, m.up_proj, din, true)};
    linear_grads<S>(ctx, first);
  }

  void choose_experts(const MoeWeights& m, std::size_t moe_layer, KeptLayer<S>& l) {
    const std::size_t n_experts = m.experts.size(), top_k = size(c.num_experts_per_tok);
    l.ids.resize(n_rows * top_k);
    const bool given = moe_layer < batch->routing.size();
    if (given) std::copy_n(batch->routing[moe_layer].begin(), n_rows * top_k, l.ids.begin());
    std::vector<float> bias;
    if (const S* b = w.of(m.e_score_correction_bias)) bias.assign(b, b + n_experts);
    ops::for_rows(ctx, n_rows, 16 * n_experts, [&](std::size_t begin, std::size_t count) {
      std::vector<float> logits(n_experts), ignored(top_k);
      for (std::size_t t = begin; t < begin + count; ++t) {
        const std::span<std::int32_t> ids(l.ids.data() + t * top_k, top_k);
        if (!given) {
          for (std::size_t e = 0; e < n_experts; ++e) logits[e] = static_cast<float>(l.scores.row(t)[e]);
          route(c, bias.empty() ? nullptr : bias.data(), logits, ids, ignored);
        }
        gate_weights(gate_rule, l.scores.row(t), n_experts, ids.data(), l.weights.row(t), top_k);
      }
    });
    l.first_of_expert.assign(n_experts + 1, 0);
    for (const std::int32_t e : l.ids) ++l.first_of_expert[size(e) + 1];
    for (std::size_t e = 0; e < n_experts; ++e) l.first_of_expert[e + 1] += l.first_of_expert[e];
    std::vector<std::size_t> next(l.first_of_expert.begin(), l.first_of_expert.end() - 1);
    l.slot_of.resize(l.ids.size());
    l.pair_of.resize(l.ids.size());
    for (std::size_t pair = 0; pair < l.ids.size(); ++pair) {
      l.slot_of[pair] = next[size(l.ids[pair])]++;
      l.pair_of[l.slot_of[pair]] = pair;
    }
  }

  void moe(const MoeWeights& m, std::size_t layer, KeptLayer<S>& l, const Matrix<S>& out) {
    const std::size_t n_experts = m.experts.size(), top_k = size(c.num_experts_per_tok), n_slots = n_rows * top_k;
    const std::size_t inner = size(c.moe_intermediate_size);
    l.scores.make(n_rows, n_experts);
    l.weights.make(n_rows, top_k);
    const LinearRows<S> router[] = {linear(l.scores, l.normed_post, m.gate)};
    linears<S>(ctx, router);
    std::size_t moe_layer = 0;
    for (std::size_t i = 0; i < layer; ++i) moe_layer += c.is_moe_layer(static_cast<std::int64_t>(i)) ? 1 : 0;
    choose_experts(m, moe_layer, l);
    loads[layer].resize(n_experts);
    for (std::size_t e = 0; e < n_experts; ++e)
      loads[layer][e] = static_cast<std::int64_t>(l.first_of_expert[e + 1] - l.first_of_expert[e]);
    chosen[layer] = l.ids;

    l.expert_in.make(n_slots, hidden());
    l.expert_out.make(n_slots, hidden());
    for (Grid<S>* grid : {&l.experts.gate, &l.experts.up, &l.experts.inner}) grid->make(n_slots, inner);
    ops::for_rows(ctx, n_slots, hidden(), [&](std::size_t begin, std::size_t count) {
      for (std::size_t i = begin; i < begin + count; ++i)
        std::copy_n(l.normed_post.row(l.pair_of[i] / top_k), hidden(), l.expert_in.row(i));
    });
    std::vector<LinearRows<S>> products;
    const auto rows_of = [&](const Matrix<S>& all, std::size_t e) {
      return all.rows(l.first_of_expert[e], l.first_of_expert[e + 1] - l.first_of_expert[e]);
    };
    for (std::size_t e = 0; e < n_experts; ++e) {
      products.push_back(linear(rows_of(l.experts.gate, e), rows_of(l.expert_in, e), m.experts[e].gate_proj));
      products.push_back(linear(rows_of(l.experts.up, e), rows_of(l.expert_in, e), m.experts[e].up_proj));
    }
    linears<S>(ctx, products);
    swiglu<S>(ctx, l.experts.inner, l.experts.gate, l.experts.up);
    products.clear();
    for (std::size_t e = 0; e < n_experts; ++e)
      products.push_back(linear(rows_of(l.expert_out, e), rows_of(l.experts.inner, e), m.experts[e].down_proj));
    linears<S>(ctx, products);
    if (m.shared_experts.gate_proj.empty())
      std::fill_n(out.data, n_rows * hidden(), S(0));
    else
      mlp(m.shared_experts, l.mlp, out, l.normed_post);
    ops::for_rows(ctx, n_rows, top_k * hidden(), [&](std::size_t begin, std::size_t count) {
      for (std::size_t pair = begin * top_k; pair < (begin + count) * top_k; ++pair) {
        const S weight = l.weights.row(pair / top_k)[pair % top_k];
        const S* from = l.expert_out.row(l.slot_of[pair]);
        S* to = out.row(pair / top_k);
        for (std::size_t i = 0; i < hidden(); ++i) to[i] += weight * from[i];
      }
    });
  }

  void moe_grad(const MoeWeights& m, const KeptLayer<S>& l, const Matrix<S>& din, const Matrix<S>& dout) {
    const std::size_t n_experts = m.experts.size(), top_k = size(c.num_experts_per_tok), n_slots = n_rows * top_k;
    const std::size_t inner = size(c.moe_intermediate_size);
    dexpert.make(n_slots, hidden());
    dexpert_in.make(n_slots, hidden());
    dexpert_inner.make(n_slots, inner);
    dexpert_up.make(n_slots, inner);
    dweights.make(n_rows, top_k);
    dlogits.make(n_rows, n_experts);
    ops::for_rows(ctx, n_rows, top_k * hidden(), [&](std::size_t begin, std::size_t count) {
      for (std::size_t pair = begin * top_k; pair < (begin + count) * top_k; ++pair) {
        const std::size_t t = pair / top_k, slot = l.slot_of[pair];
        double dot = 0;
        for (std::size_t i = 0; i < hidden(); ++i) {
          dot += static_cast<double>(dout.row(t)[i] * l.expert_out.row(slot)[i]);
          dexpert.row(slot)[i] = l.weights.row(t)[pair % top_k] * dout.row(t)[i];
        }
        dweights.row(t)[pair % top_k] = static_cast<S>(dot);
      }
      for (std::size_t t = begin; t < begin + count; ++t)
        gate_weights_grad(gate_rule, dlogits.row(t), l.scores.row(t), n_experts, l.ids.data() + t * top_k, dweights.row(t),
                          top_k);
    });
    const auto rows_of = [&](const Matrix<S>& all, std::size_t e) {
      return all.rows(l.first_of_expert[e], l.first_of_expert[e + 1] - l.first_of_expert[e]);
    };
    std::vector<LinearGrad<S>> grads;
    for (std::size_t e = 0; e < n_experts; ++e)
      grads.push_back(grad(rows_of(dexpert, e), rows_of(l.experts.inner, e), m.experts[e].down_proj, rows_of(dexpert_inner, e)));
    linear_grads<S>(ctx, grads);
    swiglu_grad<S>(ctx, dexpert_inner, dexpert_up, dexpert_inner, l.experts.gate, l.experts.up);
    grads.clear();
    for (std::size_t e = 0; e < n_experts; ++e) {
      grads.push_back(grad(rows_of(dexpert_inner, e), rows_of(l.expert_in, e), m.experts[e].gate_proj, rows_of(dexpert_in, e)));
      grads.push_back(grad(rows_of(dexpert_up, e), rows_of(l.expert_in, e), m.experts[e].up_proj, rows_of(dexpert_in, e), true));
    }
    linear_grads<S>(ctx, grads);
    const LinearGrad<S> router[] = {grad(dlogits, l.normed_post, m.gate, din)};
    linear_grads<S>(ctx, router);
    if (!m.shared_experts.gate_proj.empty()) {
      mlp_grad(m.shared_experts, l.mlp, dexpert.make(n_rows, hidden()), dout, l.normed_post);
      add_rows<S>(ctx, din, din, dexpert);
    }
    ops::for_rows(ctx, n_rows, top_k * hidden(), [&](std::size_t begin, std::size_t count) {
      for (std::size_t pair = begin * top_k; pair < (begin + count) * top_k; ++pair)
        for (std::size_t i = 0; i < hidden(); ++i) din.row(pair / top_k)[i] += dexpert_in.row(l.slot_of[pair])[i];
    });
  }

  // --- layers ---

  KeptLayer<S>& kept_of(std::size_t layer) { return kept[options.recompute ? 0 : layer]; }

  void layer_forward(std::size_t layer) {
    const LayerWeights& lw = weights().layers[layer];
    const Matrix<S> x = residual[layer], out = residual[layer + 1].make(n_rows, hidden());
    KeptLayer<S>& l = kept_of(layer);
    l.inv_in.resize(n_rows);
    l.inv_post.resize(n_rows);
    rms_norm<S>(ctx, l.normed_in.make(n_rows, hidden()), l.inv_in.data(), x, w.of(lw.input_layernorm), c.rms_norm_eps);
    c.is_mla() ? mla(lw.self_attn, l) : gqa(lw.self_attn, l);
    l.heads.make(n_rows, heads() * value_dims());
    attend(l);
    block_out.make(n_rows, hidden());
    const LinearRows<S> o_proj[] = {linear(block_out, l.heads, lw.self_attn.o_proj, lw.self_attn.o_proj_bias)};
    linears<S>(ctx, o_proj);
    add_rows<S>(ctx, l.middle.make(n_rows, hidden()), x, block_out);
    rms_norm<S>(ctx, l.normed_post.make(n_rows, hidden()), l.inv_post.data(), l.middle, w.of(lw.post_attention_layernorm),
                c.rms_norm_eps);
    if (lw.moe.experts.empty())
      mlp(lw.mlp, l.mlp, block_out, l.normed_post);
    else
      moe(lw.moe, layer, l, block_out);
    add_rows<S>(ctx, out, l.middle, block_out);
  }

  // `d`, the gradient of the layer's output, becomes that of its input.
  void layer_backward(std::size_t layer) {
    const LayerWeights& lw = weights().layers[layer];
    const KeptLayer<S>& l = kept_of(layer);
    dnormed.make(n_rows, hidden());
    if (lw.moe.experts.empty())
      mlp_grad(lw.mlp, l.mlp, dnormed, d, l.normed_post);
    else
      moe_grad(lw.moe, l, dnormed, d);
    rms_norm_grad<S>(ctx, d, dw.of(lw.post_attention_layernorm), dnormed, l.middle, l.inv_post.data(),
                     w.of(lw.post_attention_layernorm));
    dheads.make(n_rows, heads() * value_dims());
    const LinearGrad<S> o_proj[] = {grad(d, l.heads, lw.self_attn.o_proj, dheads, false, lw.self_attn.o_proj_bias)};
    linear_grads<S>(ctx, o_proj);
    attend_grad(l);
    c.is_mla() ? mla_grad(lw.self_attn, l) : gqa_grad(lw.self_attn, l);
    rms_norm_grad<S>(ctx, d, dw.of(lw.input_layernorm), dnormed, residual[layer], l.inv_in.data(), w.of(lw.input_layernorm));
  }

  // --- head: in chunks of rows ---

  std::size_t chunk_rows() const { return std::clamp<std::size_t>(kLogitsOfChunk / size(c.vocab_size), 16, 512); }

  Matrix<S> chunk_logits(std::size_t first) {
    const std::size_t count = std::min(chunk_rows(), picked.n_rows - first);
    chunk.make(count, size(c.vocab_size));
    const LinearRows<S> head[] = {linear(chunk, picked.rows(first, count), weights().lm_head)};
    linears<S>(ctx, head);
    return chunk;
  }
};

template <class S>
Network<S>::Network(const Context& ctx, const Parameters& parameters, const NetworkOptions& options)
    : state_(std::make_unique<State>(ctx, parameters, options)) {}
template <class S>
Network<S>::~Network() = default;

template <class S>
Status Network<S>::forward(const S* values, const TrainBatch& batch, double temperature, std::span<double> logprobs,
                           std::span<double> entropies) {
  State& st = *state_;
  st.n_rows = batch.token_ids.size();
  if (st.n_rows == 0 || batch.starts.empty() || batch.starts[0] != 0)
    return Status(Code::invalid_argument, "a training batch needs at least one token, and its first sequence starts at row 0");
  for (std::size_t s = 0; s < batch.starts.size(); ++s)
    if (batch.starts[s] >= (s + 1 < batch.starts.size() ? batch.starts[s + 1] : st.n_rows))
      return fail(Code::invalid_argument, "sequence {} of the training batch is empty", s);
  if (batch.picks.size() != batch.pick_rows.size() || batch.picks.size() != logprobs.size())
    return fail(Code::invalid_argument, "{} picks, {} rows of picks, room for {}: wanted the same number", batch.picks.size(),
                batch.pick_rows.size(), logprobs.size());
  if (!(temperature > 0)) return fail(Code::invalid_argument, "temperature {}: wanted more than 0", temperature);
  for (const auto& ids : {std::span<const TokenId>(batch.token_ids), std::span<const TokenId>(batch.picks)})
    for (const TokenId id : ids)
      if (id < 0 || id >= st.c.vocab_size)
        return fail(Code::invalid_argument, "token id {} is outside the vocabulary of {} ids", id, st.c.vocab_size);
  for (std::size_t i = 0; i < batch.pick_rows.size(); ++i)
    if (batch.pick_rows[i] >= st.n_rows || (i > 0 && batch.pick_rows[i] <= batch.pick_rows[i - 1]))
      return fail(Code::invalid_argument, "row {} of a pick: wanted ascending rows below {}", batch.pick_rows[i], st.n_rows);
  for (const auto& ids : batch.routing) {
    if (ids.size() != st.n_rows * size(st.c.num_experts_per_tok))
      return fail(Code::invalid_argument, "routing of {} choices, wanted {}", ids.size(),
                  st.n_rows * size(st.c.num_experts_per_tok));
    for (const std::int32_t e : ids)
      if (e < 0 || e >= st.c.n_routed_experts)
        return fail(Code::invalid_argument, "expert {} of {} in a routing", e, st.c.n_routed_experts);
  }
  st.batch = &batch;
  st.w = {st.parameters.values(), values};
  st.temperature = temperature;
  st.set_positions();
  const S* embedding = st.w.of(st.weights().embed_tokens);
  st.residual[0].make(st.n_rows, st.hidden());
  for (std::size_t t = 0; t < st.n_rows; ++t)
    std::copy_n(embedding + size(batch.token_ids[t]) * st.hidden(), st.hidden(), st.residual[0].row(t));
  for (std::size_t layer = 0; layer < st.n_layers(); ++layer) {
    if (st.ctx.cancelled()) return Status(Code::cancelled, "cancelled");
    st.layer_forward(layer);
  }
  st.inv_final.resize(st.n_rows);
  rms_norm<S>(st.ctx, st.final_normed.make(st.n_rows, st.hidden()), st.inv_final.data(), st.residual.back(),
              st.w.of(st.weights().norm), st.c.rms_norm_eps);
  st.picked.make(batch.picks.size(), st.hidden());
  for (std::size_t i = 0; i < batch.picks.size(); ++i)
    std::copy_n(st.final_normed.row(batch.pick_rows[i]), st.hidden(), st.picked.row(i));
  st.log_sums.resize(batch.picks.size());
  for (std::size_t first = 0; first < batch.picks.size(); first += st.chunk_rows()) {
    const Matrix<S> z = st.chunk_logits(first);
    ops::for_rows(st.ctx, z.n_rows, 16 * z.n_cols, [&](std::size_t begin, std::size_t count) {
      for (std::size_t i = begin; i < begin + count; ++i) {
        const PickedLogprob p = pick_logprob(z.row(i), z.n_cols, batch.picks[first + i], temperature);
        logprobs[first + i] = p.logprob;
        st.log_sums[first + i] = p.log_sum;
        if (!entropies.empty()) entropies[first + i] = p.entropy;
      }
    });
  }
  return {};
}

template <class S>
void Network<S>::backward(std::span<const double> dlogprobs, S* gradients) {
  State& st = *state_;
  const TrainBatch& batch = *st.batch;
  st.dw = {st.parameters.values(), gradients};
  st.dpicked.make(batch.picks.size(), st.hidden());
  for (std::size_t first = 0; first < batch.picks.size(); first += st.chunk_rows()) {
    const Matrix<S> z = st.chunk_logits(first);
    ops::for_rows(st.ctx, z.n_rows, 16 * z.n_cols, [&](std::size_t begin, std::size_t count) {
      for (std::size_t i = begin; i < begin + count; ++i)
        pick_logprob_grad(z.row(i), z.n_cols, batch.picks[first + i], st.temperature, st.log_sums[first + i],
                          dlogprobs[first + i]);
    });
    const LinearGrad<S> head[] = {
        st.grad(z, st.picked.rows(first, z.n_rows), st.weights().lm_head, st.dpicked.rows(first, z.n_rows))};
    linear_grads<S>(st.ctx, head);
  }
  st.dnormed.make_zero(st.n_rows, st.hidden());
  for (std::size_t i = 0; i < batch.picks.size(); ++i)
    std::copy_n(st.dpicked.row(i), st.hidden(), st.dnormed.row(batch.pick_rows[i]));
  st.d.make_zero(st.n_rows, st.hidden());
  rms_norm_grad<S>(st.ctx, st.d, st.dw.of(st.weights().norm), st.dnormed, st.residual.back(), st.inv_final.data(),
                   st.w.of(st.weights().norm));
  for (std::size_t layer = st.n_layers(); layer-- > 0;) {
    if (st.options.recompute) st.layer_forward(layer);
    st.layer_backward(layer);
  }
  if (S* embedding = st.dw.of(st.weights().embed_tokens))
    for (std::size_t t = 0; t < st.n_rows; ++t)
      for (std::size_t i = 0; i < st.hidden(); ++i) embedding[size(batch.token_ids[t]) * st.hidden() + i] += st.d.row(t)[i];
}

template <class S>
std::vector<S> Network<S>::logits(std::size_t row) const {
  State& st = *state_;
  std::vector<S> out(size(st.c.vocab_size));
  const LinearRows<S> head[] = {
      st.linear(Matrix<S>(out.data(), 1, out.size()), st.final_normed.rows(row, 1), st.weights().lm_head)};
  linears<S>(st.ctx, head);
  return out;
}

template <class S>
std::vector<std::int64_t> Network<S>::expert_loads(std::size_t layer) const {
  return state_->loads[layer];
}

template <class S>
std::vector<std::vector<std::int32_t>> Network<S>::routing() const {
  std::vector<std::vector<std::int32_t>> all;
  for (const auto& ids : state_->chosen)
    if (!ids.empty()) all.push_back(ids);
  return all;
}

template class Network<float>;
template class Network<double>;

}  // namespace ponder::core
