// Attention over cached rows: of any shape and type here (one block per row and head, keys in order), and the choice of the
// quicker kernels where they fit.
#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

namespace {

constexpr int kThreads = 256, kTile = 64, kMaxValues = 4;  // value_dims up to kThreads * kMaxValues
constexpr uint64_t kPrefillRows = 32;                      // of one sequence: then its keys and values are worth expanding

__global__ void __launch_bounds__(kThreads) attend_any_kernel(ponder_device_cache c, AttendShape shape, ponder_device_rows out,
                                                              ponder_device_rows q) {
  extern __shared__ float query[];  // [key_dims], then scores [kTile]
  float* scores = query + shape.key_dims;
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x, head = blockIdx.y;
  const uint32_t kv_head = static_cast<uint32_t>(head) / shape.group;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int sequence = c.row_sequence[t], n_keys = c.positions[t] + 1;
  for (uint32_t k = threadIdx.x; k < shape.key_dims; k += kThreads) query[k] = load(q, t, head * shape.q_head + k) * shape.scale;
  float values[kMaxValues] = {}, most = __int_as_float(0xff800000), sum = 0;
  for (int first = 0; first < n_keys; first += kTile) {
    const int n = min(kTile, n_keys - first);
    __syncthreads();
    for (int i = warp; i < n; i += kThreads / 32) {
      const char* row = cache_row(c, sequence, first + i);
      float score = 0;
      for (uint32_t k = static_cast<uint32_t>(lane); k < shape.key_dims; k += 32)
        score = fmaf(query[k], load_kv(c.type, row, kv_head * shape.key_step + k), score);
      score = warp_sum(score);
      if (lane == 0) scores[i] = score;
    }
    __syncthreads();
    float next = most;
    for (int i = 0; i < n; ++i) next = fmaxf(next, scores[i]);
    const float shrink = expf(most - next);
    sum *= shrink;
#pragma unroll
    for (int v = 0; v < kMaxValues; ++v) values[v] *= shrink;
    most = next;
    for (int i = 0; i < n; ++i) {
      const char* row = cache_row(c, sequence, first + i);
      const float p = expf(scores[i] - most);
      sum += p;
#pragma unroll
      for (int v = 0; v < kMaxValues; ++v) {
        const uint32_t k = threadIdx.x + static_cast<uint32_t>(v) * kThreads;
        if (k < shape.value_dims) values[v] = fmaf(p, load_kv(c.type, row, shape.value_base + kv_head * shape.value_step + k), values[v]);
      }
    }
  }
#pragma unroll
  for (int v = 0; v < kMaxValues; ++v) {
    const uint32_t k = threadIdx.x + static_cast<uint32_t>(v) * kThreads;
    if (k < shape.value_dims) store(out, t, head * shape.out_head + k, values[v] / sum);
  }
}

// The rotated part of each head's query behind its latent part.
__global__ void copy_tails_kernel(ponder_device_rows latent, ponder_device_rows q, ponder_device_heads h) {
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x;
  for (uint32_t i = threadIdx.x; i < h.n_heads * h.rope; i += blockDim.x) {
    const uint64_t head = i / h.rope, k = i % h.rope;
    store(latent, t, head * (h.rank + h.rope) + h.rank + k, load(q, t, head * (h.nope + h.rope) + h.nope + k));
  }
}

// The first n_keys rows of a sequence's cache in one piece, as bf16.
__global__ void collect_kernel(ponder_device_cache c, int sequence, bf16* to, uint32_t elements) {
  wait_for_previous();
  let_next_start();
  const char* row = cache_row(c, sequence, static_cast<int>(blockIdx.x));
  bf16* out = to + static_cast<uint64_t>(blockIdx.x) * elements;
  if (c.type == PONDER_TYPE_BF16 && elements % 8 == 0) {
    for (uint32_t k = threadIdx.x * 8; k < elements; k += blockDim.x * 8)
      *reinterpret_cast<uint4*>(out + k) = *reinterpret_cast<const uint4*>(row + 2 * k);
    return;
  }
  for (uint32_t k = threadIdx.x; k < elements; k += blockDim.x) out[k] = __float2bfloat16(load_kv(c.type, row, k));
}

// Sequences [first, end) of a pass; row_sequence counts in the whole pass.
ponder_device_cache some_sequences(const ponder_device_cache& c, uint64_t first, uint64_t end) {
  ponder_device_cache part = c;
  const uint64_t row = c.sequences[first].first_row;
  part.row_sequence += row;
  part.positions += row;
  part.n_rows = c.sequences[end - 1].first_row + c.sequences[end - 1].n_rows - row;
  part.n_sequences = end - first;
  part.sequences += first;
  return part;
}
ponder_device_rows rows_from(ponder_device_rows r, uint64_t first) {
  r.data = static_cast<char*>(r.data) + first * r.stride * (is_f32(r) ? 4 : 2);
  return r;
}

void attend_absorbed(ponder_queue* queue, const ponder_device_cache& c, const ponder_device_heads& h, ponder_device_rows out,
                     ponder_device_rows q, const ponder_device_matrix& kv_b) {
  const uint64_t n = c.n_rows, key = h.rank + h.rope, element = is_f32(q) ? 4 : 2;
  const ponder_device_rows latent{scratch(queue, 0, n * h.n_heads * key * element), h.n_heads * key, q.type};
  const ponder_device_rows latent_out{scratch(queue, 1, n * h.n_heads * h.rank * element), static_cast<uint64_t>(h.n_heads) * h.rank, q.type};
  if (!latent.data || !latent_out.data) return;
  ponder_device_matrix keys = kv_b, values = kv_b;
  keys.n_out = h.nope;
  values.n_out = h.v;
  values.data = static_cast<const char*>(kv_b.data) + h.nope * kv_b.row_bytes;
  if (!matmul_heads(queue, latent, key, q, h.nope + h.rope, &keys, 1, n, h.rope))
    launch(queue, "copy_tails", copy_tails_kernel, dim3(static_cast<unsigned>(n)), dim3(256), 0, latent, q, h);
  if (is_f32(q) || h.rank != 512 || h.rope != 64 || !attend_latent(queue, &c, h.n_heads, h.scale, latent_out, latent)) {
    const AttendShape shape{h.n_heads, h.n_heads, static_cast<uint32_t>(key), h.rank, 0, 0, 0, key, h.rank, h.scale};
    attend_any(queue, &c, shape, latent_out, latent);
  }
  matmul_heads(queue, out, h.v, latent_out, h.rank, &values, 0, n);
}

// Keys and values of all heads made from the latents of the whole context, for many rows of one sequence.
bool attend_expanded(ponder_queue* queue, const ponder_device_cache& c, uint64_t index, const ponder_device_heads& h, ponder_device_rows out,
                     ponder_device_rows q, const ponder_device_matrix& kv_b) {
  const ponder_device_sequence& s = c.sequences[index];
  if (is_f32(q) || h.nope != 128 || h.rope != 64 || h.v != 128 || kv_b.type != PONDER_TYPE_BF16 || kv_b.row_bytes != 2 * h.rank) return false;
  const uint64_t n_keys = s.first_position + s.n_rows, width = h.n_heads * (h.nope + h.v), row = h.rank + h.rope;
  auto* latents = static_cast<bf16*>(scratch(queue, 0, n_keys * row * sizeof(bf16)));
  const ponder_device_rows expanded{scratch(queue, 1, n_keys * width * sizeof(bf16)), width, PONDER_TYPE_BF16};
  if (!latents || !expanded.data) return true;  // failed, and noted
  launch(queue, "collect", collect_kernel, dim3(static_cast<unsigned>(n_keys)), dim3(96), 0, c, static_cast<int>(index), latents,
         static_cast<uint32_t>(row));
  ponder_device_matrix all = kv_b;  // [n_heads * (nope + v), rank]
  all.n_out = width;
  all.n_stacked = 1;
  matmul(queue, expanded, ponder_device_rows{latents, row, PONDER_TYPE_BF16}, &all, nullptr, n_keys, 0);
  const bf16* keys = static_cast<const bf16*>(expanded.data);
  const PrefillShape shape{h.n_heads, 1, h.nope + h.rope, h.v, s.n_rows, n_keys, keys, latents + h.rank, keys + h.nope,
                           width, h.nope + h.v, row, width, h.nope + h.v, h.rope, h.scale};
  return attend_prefill(queue, shape, rows_from(out, s.first_row), h.v, rows_from(q, s.first_row), h.nope + h.rope);
}

// Sequences with many rows go through `whole`, one by one, where it takes them; those between them together through `rest`.
template <class Whole, class Rest>
void by_sequence(const ponder_device_cache& c, const Whole& whole, const Rest& rest) {
  uint64_t done = 0;
  for (uint64_t i = 0; i < c.n_sequences; ++i) {
    if (c.sequences[i].n_rows < kPrefillRows || !whole(i)) continue;
    if (done < i) rest(some_sequences(c, done, i), c.sequences[done].first_row);
    done = i + 1;
  }
  if (done < c.n_sequences) rest(some_sequences(c, done, c.n_sequences), c.sequences[done].first_row);
}

}  // namespace

void attend_any(ponder_queue* queue, const ponder_device_cache* c, const AttendShape& shape, ponder_device_rows out, ponder_device_rows q) {
  if (shape.value_dims > kThreads * kMaxValues) return note(queue, cudaErrorNotSupported, "more than 1024 values of a head");
  launch(queue, "attend", attend_any_kernel, dim3(static_cast<unsigned>(c->n_rows), shape.n_heads), dim3(kThreads),
         (shape.key_dims + kTile) * sizeof(float), *c, shape, out, q);
}

void mla_attend(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows out, ponder_device_rows q,
                const ponder_device_matrix* kv_b) {
  by_sequence(
      *c, [&](uint64_t i) { return attend_expanded(queue, *c, i, *h, out, q, *kv_b); },
      [&](const ponder_device_cache& part, uint64_t first) { attend_absorbed(queue, part, *h, rows_from(out, first), rows_from(q, first), *kv_b); });
}

void gqa_attend(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows out, ponder_device_rows q) {
  const uint32_t dim = h->rope, width = h->n_kv_heads * dim, group = h->n_heads / h->n_kv_heads;
  const auto whole = [&](uint64_t i) {
    if (is_f32(q) || (dim != 64 && dim != 128)) return false;
    const ponder_device_sequence& s = c->sequences[i];
    const uint64_t n_keys = s.first_position + s.n_rows;
    auto* rows = static_cast<bf16*>(scratch(queue, 0, n_keys * 2 * width * sizeof(bf16)));
    if (!rows) return true;
    launch(queue, "collect", collect_kernel, dim3(static_cast<unsigned>(n_keys)), dim3(128), 0, *c, static_cast<int>(i), rows, 2 * width);
    const PrefillShape shape{h->n_heads, group, dim, dim, s.n_rows, n_keys, rows, nullptr, rows + width,
                             2 * width, dim, 0, 2 * width, dim, 0, h->scale};
    return attend_prefill(queue, shape, rows_from(out, s.first_row), dim, rows_from(q, s.first_row), dim);
  };
  by_sequence(*c, whole, [&](const ponder_device_cache& part, uint64_t first) {
    const AttendShape shape{h->n_heads, group, dim, dim, dim, width, dim, dim, dim, h->scale};
    attend_any(queue, &part, shape, rows_from(out, first), rows_from(q, first));
  });
}

}  // namespace ponder::cuda
