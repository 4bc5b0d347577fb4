#include "tests/device/fake_device.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <new>
#include <vector>

#include "kernels/base/table.h"
#include "lib/base/dtype.h"

struct ponder_device {
  std::size_t limit = 0;
  std::map<void*, std::size_t> blocks;
  int waits_left = -1;
  bool lost = false;
};

struct ponder_queue {
  ponder_device* device = nullptr;
  bool recording = false;
  std::vector<std::function<void()>> recorded;
};

namespace ponder::test {

FakeDeviceSettings& fake_device_settings() {
  static FakeDeviceSettings settings;
  return settings;
}
FakeDeviceCounters& fake_device_counters() {
  static FakeDeviceCounters counters;
  return counters;
}

namespace {

using core::DType;
using Graph = std::vector<std::function<void()>>;

int fail(ponder_device_error* error, int code, const char* text) {
  error->code = code;
  std::snprintf(error->message, sizeof error->message, "%s", text);
  return code;
}

// ---- Rows and matrices of any type ----

float get(const ponder_device_rows& r, std::size_t row, std::size_t col) {
  const std::size_t at = row * r.stride + col;
  if (r.type == PONDER_TYPE_F32) return static_cast<const float*>(r.data)[at];
  return core::bf16_to_f32(static_cast<const std::uint16_t*>(r.data)[at]);
}
void put(const ponder_device_rows& r, std::size_t row, std::size_t col, float value) {
  const std::size_t at = row * r.stride + col;
  if (r.type == PONDER_TYPE_F32) static_cast<float*>(r.data)[at] = value;
  else static_cast<std::uint16_t*>(r.data)[at] = core::f32_to_bf16(value);
}
float element(std::uint32_t type, const void* data, std::size_t at) {
  if (type == PONDER_TYPE_F32) return static_cast<const float*>(data)[at];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(data)[at];
  return type == PONDER_TYPE_F16 ? core::f16_to_f32(bits) : core::bf16_to_f32(bits);
}
void set_element(std::uint32_t type, void* data, std::size_t at, float value) {
  if (type == PONDER_TYPE_F32) static_cast<float*>(data)[at] = value;
  else static_cast<std::uint16_t*>(data)[at] = type == PONDER_TYPE_F16 ? core::f32_to_f16(value) : core::f32_to_bf16(value);
}

const kernels::Table& ref() {
  static const kernels::Table table = kernels::make_table(kernels::Isa::ref);
  return table;
}

std::vector<float> weight_row(const ponder_device_matrix& w, std::size_t matrix, std::size_t row) {
  std::vector<float> values(w.n_in);
  const auto* data = static_cast<const std::byte*>(w.data) + matrix * w.stack_bytes + row * w.row_bytes;
  switch (w.type) {
    case PONDER_TYPE_F32: case PONDER_TYPE_F16: case PONDER_TYPE_BF16:
      for (std::size_t k = 0; k < w.n_in; ++k) values[k] = element(w.type, data, k);
      break;
    case PONDER_TYPE_F8_E4M3: {
      const float* scales = w.scale_inv + matrix * w.stack_scales + row / 128 * w.n_scale_cols;
      for (std::size_t k = 0; k < w.n_in; ++k) values[k] = core::f8_e4m3_to_f32(static_cast<std::uint8_t>(data[k])) * scales[k / 128];
      break;
    }
    case PONDER_TYPE_Q4_0: ref().q4_0.to_f32(values.data(), data, w.n_in); break;
    case PONDER_TYPE_Q8_0: ref().q8_0.to_f32(values.data(), data, w.n_in); break;
    case PONDER_TYPE_Q4_K: ref().q4_k.to_f32(values.data(), data, w.n_in); break;
    case PONDER_TYPE_Q5_K: ref().q5_k.to_f32(values.data(), data, w.n_in); break;
    case PONDER_TYPE_Q6_K: ref().q6_k.to_f32(values.data(), data, w.n_in); break;
    default: break;
  }
  return values;
}

// One row of y = x W^T.
std::vector<double> product(const ponder_device_rows& x, std::size_t row, const ponder_device_matrix& w, std::size_t matrix) {
  std::vector<float> in(w.n_in);
  for (std::size_t k = 0; k < w.n_in; ++k) in[k] = get(x, row, k);
  std::vector<double> out(w.n_out);
  for (std::size_t n = 0; n < w.n_out; ++n) {
    const std::vector<float> values = weight_row(w, matrix, n);
    for (std::size_t k = 0; k < w.n_in; ++k) out[n] += double{in[k]} * double{values[k]};
  }
  return out;
}
double silu(double x) { return x / (1 + std::exp(-x)); }
ponder_device_rows from(ponder_device_rows r, std::size_t col) {
  r.data = static_cast<std::byte*>(r.data) + col * (r.type == PONDER_TYPE_F32 ? 4 : 2);
  return r;
}

// ---- Devices ----

int count(int* n, ponder_device_error* error) {
  if (!fake_device_settings().no_device.empty())
    return fail(error, PONDER_DEVICE_UNSUPPORTED, fake_device_settings().no_device.c_str());
  *n = 1;
  return 0;
}
int open(int, ponder_device** device, ponder_device_error*) {
  *device = new ponder_device;
  (*device)->limit = fake_device_settings().memory_bytes;
  (*device)->waits_left = fake_device_settings().lost_after_waits;
  return 0;
}
void close(ponder_device* device) { delete device; }
int info(ponder_device* device, ponder_device_info* out, ponder_device_error*) {
  *out = {};
  std::snprintf(out->name, sizeof out->name, "pretended");
  out->total_bytes = device->limit;
  out->free_bytes = device->limit - fake_device_counters().used_bytes;
  return 0;
}
int allocate(ponder_device* device, size_t n, void** memory, ponder_device_error* error) {
  if (fake_device_counters().used_bytes + n > device->limit) return fail(error, PONDER_DEVICE_NO_MEMORY, "the fake device is full");
  *memory = ::operator new(n, std::align_val_t{256});
  std::memset(*memory, 0xff, n);  // NaN
  device->blocks[*memory] = n;
  fake_device_counters().used_bytes += n;
  return 0;
}
void release(ponder_device* device, void* memory) {
  fake_device_counters().used_bytes -= device->blocks[memory];
  device->blocks.erase(memory);
  ::operator delete(memory, std::align_val_t{256});
}
int allocate_host(ponder_device*, size_t n, void** memory, ponder_device_error*) {
  *memory = std::malloc(n);
  std::memset(*memory, 0xff, n);
  return 0;
}
void release_host(ponder_device*, void* memory) { std::free(memory); }
int transfer(ponder_device* device, void* to, const void* from, size_t n, ponder_device_error* error) {
  if (device->lost) return fail(error, PONDER_DEVICE_LOST, "the fake device is lost");
  std::memmove(to, from, n);
  return 0;
}

// ---- Queues: what is enqueued runs at once, or is recorded ----

template <class F>
void run(ponder_queue* queue, F&& operation) {
  if (queue->recording) queue->recorded.emplace_back(std::forward<F>(operation));
  else operation();
}
int queue_create(ponder_device* device, ponder_queue** queue, ponder_device_error*) {
  *queue = new ponder_queue;
  (*queue)->device = device;
  return 0;
}
void queue_destroy(ponder_queue* queue) { delete queue; }
int queue_wait(ponder_queue* queue, ponder_device_error* error) {
  ponder_device& device = *queue->device;
  ++fake_device_counters().n_waits;
  if (device.waits_left == 0) device.lost = true;
  if (device.waits_left > 0) --device.waits_left;
  return device.lost ? fail(error, PONDER_DEVICE_LOST, "the fake device is lost") : 0;
}
void queue_copy(ponder_queue* queue, void* to, const void* from, size_t n) {
  run(queue, [=] { std::memcpy(to, from, n); });
}
int graph_begin(ponder_queue* queue) {
  queue->recorded.clear();
  queue->recording = true;
  return 0;
}
void* graph_end(ponder_queue* queue) {
  queue->recording = false;
  return new Graph(std::move(queue->recorded));
}
void graph_launch(ponder_queue*, void* graph) {
  ++fake_device_counters().n_graphs_played;
  for (const auto& operation : *static_cast<Graph*>(graph)) operation();
}
void graph_destroy(ponder_queue*, void* graph) { delete static_cast<Graph*>(graph); }
uint64_t generation(ponder_queue*) { return 0; }

int supports(ponder_device*, uint32_t type) {
  return type <= PONDER_TYPE_F8_E4M3 || type == PONDER_TYPE_Q4_0 || type == PONDER_TYPE_Q8_0 || type == PONDER_TYPE_Q4_K ||
         type == PONDER_TYPE_Q5_K || type == PONDER_TYPE_Q6_K;
}

// ---- Operations ----

void embed(ponder_queue* queue, ponder_device_rows y, const ponder_device_matrix* w, const int32_t* ids, uint64_t n) {
  run(queue, [=, w = *w] {
    for (std::size_t t = 0; t < n; ++t) {
      const std::vector<float> row = weight_row(w, 0, static_cast<std::size_t>(ids[t]));
      for (std::size_t k = 0; k < row.size(); ++k) put(y, t, k, row[k]);
    }
  });
}

void rms_norm(ponder_queue* queue, ponder_device_rows y, ponder_device_rows y32, ponder_device_rows x, const float* weight, uint64_t n,
              uint64_t width, float eps) {
  run(queue, [=] {
    for (std::size_t t = 0; t < n; ++t) {
      double square = 0;
      for (std::size_t k = 0; k < width; ++k) square += double{get(x, t, k)} * double{get(x, t, k)};
      const double scale = 1 / std::sqrt(square / static_cast<double>(width) + double{eps});
      for (std::size_t k = 0; k < width; ++k) {
        const auto value = static_cast<float>(double{get(x, t, k)} * scale * double{weight[k]});
        put(y, t, k, value);
        if (y32.data) put(y32, t, k, value);
      }
    }
  });
}

void matmul(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* w, const float* bias, uint64_t n,
            uint32_t flags) {
  run(queue, [=, w = *w, accumulate = flags & PONDER_MATMUL_ACCUMULATE] {
    for (std::size_t t = 0; t < n; ++t) {
      const std::vector<double> row = product(x, t, w, 0);
      for (std::size_t k = 0; k < row.size(); ++k)
        put(y, t, k, static_cast<float>(row[k] + (bias ? double{bias[k]} : 0) + (accumulate ? double{get(y, t, k)} : 0)));
    }
  });
}

void matmul_gated(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* gate,
                  const ponder_device_matrix* up, uint64_t n) {
  run(queue, [=, gate = *gate, up = *up] {
    for (std::size_t t = 0; t < n; ++t) {
      const std::vector<double> g = product(x, t, gate, 0), u = product(x, t, up, 0);
      for (std::size_t k = 0; k < g.size(); ++k) put(y, t, k, static_cast<float>(silu(g[k]) * u[k]));
    }
  });
}

void matmul_heads(ponder_queue* queue, ponder_device_rows y, uint64_t y_head, ponder_device_rows x, uint64_t x_head,
                  const ponder_device_matrix* w, uint32_t transposed, uint64_t n) {
  run(queue, [=, w = *w] {
    for (std::size_t h = 0; h < w.n_stacked; ++h)
      for (std::size_t t = 0; t < n; ++t) {
        std::vector<double> out(transposed ? w.n_in : w.n_out);
        for (std::size_t r = 0; r < w.n_out; ++r) {
          const std::vector<float> row = weight_row(w, h, r);
          for (std::size_t k = 0; k < w.n_in; ++k)
            out[transposed ? k : r] += double{row[k]} * double{get(from(x, h * x_head), t, transposed ? r : k)};
        }
        for (std::size_t k = 0; k < out.size(); ++k) put(from(y, h * y_head), t, k, static_cast<float>(out[k]));
      }
  });
}

void angles(ponder_queue* queue, float* cos, float* sin, const int32_t* positions, const double* frequencies, double factor, uint64_t n,
            uint32_t half) {
  run(queue, [=] {
    for (std::size_t i = 0; i < n * half; ++i) {
      const double angle = static_cast<double>(positions[i / half]) * frequencies[i % half];
      cos[i] = static_cast<float>(std::cos(angle) * factor);
      sin[i] = static_cast<float>(std::sin(angle) * factor);
    }
  });
}
void gather(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const int32_t* ids, uint64_t n, uint64_t width) {
  run(queue, [=] {
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t k = 0; k < width; ++k) put(y, t, k, get(x, static_cast<std::size_t>(ids[t]), k));
  });
}
void convert(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width) {
  run(queue, [=] {
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t k = 0; k < width; ++k) put(y, t, k, get(x, t, k));
  });
}
void add(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width) {
  run(queue, [=] {
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t k = 0; k < width; ++k) put(y, t, k, get(y, t, k) + get(x, t, k));
  });
}

// ---- Attention ----

struct Cache {
  ponder_device_cache c;
  std::size_t position(std::size_t row) const { return static_cast<std::size_t>(c.positions[row]); }
  void* row(std::size_t of_row, std::size_t token) const {
    const auto block = static_cast<std::size_t>(c.first_block[c.row_sequence[of_row]]) + token / c.block_tokens;
    return static_cast<std::byte*>(c.blocks[block]) + c.layer_bytes +
           token % c.block_tokens * c.row_elements * (c.type == PONDER_TYPE_F32 ? 4 : 2);
  }
  float value(std::size_t of_row, std::size_t token, std::size_t k) const { return element(c.type, row(of_row, token), k); }
  void store(std::size_t of_row, std::size_t k, float value) const { set_element(c.type, row(of_row, position(of_row)), k, value); }
};

// Elements [first, first + dims) of row t.
void rotate(const Cache& cache, const ponder_device_rows& x, std::size_t t, std::size_t first, std::size_t dims, bool interleaved) {
  for (std::size_t i = 0; i < dims / 2; ++i) {
    const std::size_t a = first + (interleaved ? 2 * i : i), b = interleaved ? a + 1 : a + dims / 2;
    const float c = cache.c.cos[t * (dims / 2) + i], s = cache.c.sin[t * (dims / 2) + i];
    const float xa = get(x, t, a), xb = get(x, t, b);
    put(x, t, a, xa * c - xb * s);
    put(x, t, b, xa * s + xb * c);
  }
}

void mla_store(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows q, ponder_device_rows kv,
               const float* norm) {
  run(queue, [=, cache = Cache{*c}, h = *h] {
    for (std::size_t t = 0; t < cache.c.n_rows; ++t) {
      for (std::size_t i = 0; i < h.n_heads; ++i) rotate(cache, q, t, i * (h.nope + h.rope) + h.nope, h.rope, true);
      double square = 0;
      for (std::size_t k = 0; k < h.rank; ++k) square += double{get(kv, t, k)} * double{get(kv, t, k)};
      const double scale = 1 / std::sqrt(square / h.rank + 1e-6);
      for (std::size_t k = 0; k < h.rank; ++k) cache.store(t, k, static_cast<float>(double{get(kv, t, k)} * scale * double{norm[k]}));
      rotate(cache, kv, t, h.rank, h.rope, true);
      for (std::size_t k = h.rank; k < h.rank + h.rope; ++k) cache.store(t, k, get(kv, t, k));
    }
  });
}
void gqa_store(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows q, ponder_device_rows kv) {
  run(queue, [=, cache = Cache{*c}, h = *h] {
    for (std::size_t t = 0; t < cache.c.n_rows; ++t) {
      for (std::size_t i = 0; i < h.n_heads; ++i) rotate(cache, q, t, i * h.rope, h.rope, h.interleaved);
      for (std::size_t i = 0; i < h.n_kv_heads; ++i) rotate(cache, kv, t, i * h.rope, h.rope, h.interleaved);
      for (std::size_t k = 0; k < 2 * h.n_kv_heads * h.rope; ++k) cache.store(t, k, get(kv, t, k));
    }
  });
}

// Softmax attention of one query over the keys that row t sees.
template <class Key, class Value>
std::vector<double> attend(std::size_t n_keys, double scale, std::size_t n_values, const std::vector<double>& query, const Key& key,
                           const Value& value) {
  std::vector<double> scores(n_keys), out(n_values);
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::size_t s = 0; s < n_keys; ++s) {
    for (std::size_t k = 0; k < query.size(); ++k) scores[s] += query[k] * key(s, k);
    scores[s] *= scale;
    most = std::max(most, scores[s]);
  }
  for (double& score : scores) sum += score = std::exp(score - most);
  for (std::size_t s = 0; s < n_keys; ++s)
    for (std::size_t k = 0; k < n_values; ++k) out[k] += scores[s] / sum * value(s, k);
  return out;
}

void mla_attend(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows out, ponder_device_rows q,
                const ponder_device_matrix* kv_b) {
  run(queue, [=, cache = Cache{*c}, h = *h, w = *kv_b] {
    for (std::size_t i = 0; i < h.n_heads; ++i) {
      std::vector<std::vector<float>> rows;
      for (std::size_t r = 0; r < h.nope + h.v; ++r) rows.push_back(weight_row(w, i, r));
      for (std::size_t t = 0; t < cache.c.n_rows; ++t) {
        const ponder_device_rows head = from(q, i * (h.nope + h.rope));
        std::vector<double> query(h.rank + h.rope);
        for (std::size_t d = 0; d < h.nope; ++d)
          for (std::size_t r = 0; r < h.rank; ++r) query[r] += double{get(head, t, d)} * double{rows[d][r]};
        for (std::size_t k = 0; k < h.rope; ++k) query[h.rank + k] = double{get(head, t, h.nope + k)};
        const auto value = [&](std::size_t s, std::size_t k) { return double{cache.value(t, s, k)}; };
        const std::vector<double> latent = attend(cache.position(t) + 1, double{h.scale}, h.rank, query, value, value);
        for (std::size_t k = 0; k < h.v; ++k) {
          double sum = 0;
          for (std::size_t r = 0; r < h.rank; ++r) sum += latent[r] * double{rows[h.nope + k][r]};
          put(out, t, i * h.v + k, static_cast<float>(sum));
        }
      }
    }
  });
}
void gqa_attend(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows out, ponder_device_rows q) {
  run(queue, [=, cache = Cache{*c}, h = *h] {
    const std::size_t dim = h.rope, width = h.n_kv_heads * dim;
    for (std::size_t t = 0; t < cache.c.n_rows; ++t)
      for (std::size_t i = 0; i < h.n_heads; ++i) {
        const std::size_t kv_head = i / (h.n_heads / h.n_kv_heads);
        std::vector<double> query(dim);
        for (std::size_t k = 0; k < dim; ++k) query[k] = double{get(q, t, i * dim + k)};
        const std::vector<double> values = attend(
            cache.position(t) + 1, double{h.scale}, dim, query,
            [&](std::size_t s, std::size_t k) { return double{cache.value(t, s, kv_head * dim + k)}; },
            [&](std::size_t s, std::size_t k) { return double{cache.value(t, s, width + kv_head * dim + k)}; });
        for (std::size_t k = 0; k < dim; ++k) put(out, t, i * dim + k, static_cast<float>(values[k]));
      }
  });
}

// ---- Mixture of experts ----

void route_row(const ponder_device_router& r, std::vector<double> scores, const float* bias, std::int32_t* ids, float* weights) {
  const std::size_t n = scores.size();
  double sum = 0, most = *std::max_element(scores.begin(), scores.end());
  for (double& s : scores) sum += s = r.sigmoid ? 1 / (1 + std::exp(-s)) : std::exp(s - most);
  if (!r.sigmoid)
    for (double& s : scores) s /= sum;
  std::vector<double> choice(scores);
  if (r.noaux && bias)
    for (std::size_t e = 0; e < n; ++e) choice[e] += double{bias[e]};
  const auto best_first = [](const std::vector<double>& of, std::size_t first, std::size_t end) {
    std::vector<std::size_t> order;
    for (std::size_t i = first; i < end; ++i) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return of[a] > of[b]; });
    return order;
  };
  if (r.grouped) {
    const std::size_t size = n / r.n_group;
    std::vector<double> of_group;
    for (std::size_t g = 0; g < r.n_group; ++g) {
      const auto order = best_first(choice, g * size, (g + 1) * size);
      of_group.push_back(choice[order[0]] + (r.noaux && size > 1 ? choice[order[1]] : 0));
    }
    const auto order = best_first(of_group, 0, r.n_group);
    for (std::size_t i = r.topk_group; i < r.n_group; ++i)
      for (std::size_t e = order[i] * size; e < (order[i] + 1) * size; ++e) choice[e] = -std::numeric_limits<double>::infinity();
  }
  const auto order = best_first(choice, 0, n);
  for (std::size_t i = 0; i < r.top_k; ++i) ids[i] = static_cast<std::int32_t>(order[i]);
  std::sort(ids, ids + r.top_k);
  double total = 0;
  for (std::size_t i = 0; i < r.top_k; ++i) total += scores[static_cast<std::size_t>(ids[i])];
  for (std::size_t i = 0; i < r.top_k; ++i)
    weights[i] = static_cast<float>(scores[static_cast<std::size_t>(ids[i])] / (r.normalise ? total + 1e-20 : 1) * double{r.factor});
}

void route(ponder_queue* queue, const ponder_device_router* router, ponder_device_rows scores, const float* bias,
           const ponder_device_slots* slots, uint64_t n) {
  run(queue, [=, r = *router, s = *slots] {
    for (std::size_t t = 0; t < n; ++t) {
      std::vector<double> row(r.n_experts);
      for (std::size_t e = 0; e < row.size(); ++e) row[e] = double{get(scores, t, e)};
      route_row(r, std::move(row), bias, s.ids + t * r.top_k, s.weights + t * r.top_k);
    }
    std::int32_t at = 0;
    for (std::int32_t e = 0; e < static_cast<std::int32_t>(r.n_experts); ++e) {
      s.first[e] = at;
      for (std::size_t slot = 0; slot < n * r.top_k; ++slot)
        if (s.ids[slot] == e) {
          s.order[at] = static_cast<std::int32_t>(slot);
          s.at[slot] = at++;
        }
    }
    s.first[r.n_experts] = at;
  });
}

void experts(ponder_queue* queue, ponder_device_rows out, ponder_device_rows x, const ponder_device_matrix* gate,
             const ponder_device_matrix* up, const ponder_device_matrix* down, const ponder_device_matrix* const* shared,
             const ponder_device_slots* slots, uint64_t n) {
  if (shared)
    run(queue, [=, g_w = *shared[0], u_w = *shared[1], d_w = *shared[2]] {
      std::vector<float> inner(g_w.n_out);
      const ponder_device_rows rows{inner.data(), inner.size(), PONDER_TYPE_F32};
      for (std::size_t t = 0; t < n; ++t) {
        const std::vector<double> g = product(x, t, g_w, 0), u = product(x, t, u_w, 0);
        for (std::size_t k = 0; k < inner.size(); ++k) inner[k] = static_cast<float>(silu(g[k]) * u[k]);
        const std::vector<double> y = product(rows, 0, d_w, 0);
        for (std::size_t k = 0; k < y.size(); ++k) put(out, t, k, static_cast<float>(double{get(out, t, k)} + y[k]));
      }
    });
  run(queue, [=, gate = *gate, up = *up, down = *down, s = *slots] {
    std::vector<float> inner(gate.n_out);
    const ponder_device_rows rows{inner.data(), inner.size(), PONDER_TYPE_F32};
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t i = t * s.top_k; i < (t + 1) * s.top_k; ++i) {
        const auto e = static_cast<std::size_t>(s.ids[i]);
        const std::vector<double> g = product(x, t, gate, e), u = product(x, t, up, e);
        for (std::size_t k = 0; k < inner.size(); ++k) inner[k] = static_cast<float>(silu(g[k]) * u[k]);
        const std::vector<double> y = product(rows, 0, down, e);
        for (std::size_t k = 0; k < y.size(); ++k) put(out, t, k, static_cast<float>(double{get(out, t, k)} + double{s.weights[i]} * y[k]));
      }
  });
}

void matmul_grouped(ponder_queue* queue, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* matrix,
                    const ponder_device_slots* slots, uint64_t n_slots, uint32_t sorted) {
  run(queue, [=, w = *matrix, s = *slots] {
    for (std::size_t i = 0; i < n_slots; ++i) {
      const auto slot = static_cast<std::size_t>(s.order[i]);
      const std::vector<double> row = product(x, sorted ? i : slot / s.top_k, w, static_cast<std::size_t>(s.ids[slot]));
      for (std::size_t k = 0; k < row.size(); ++k) put(y, i, k, static_cast<float>(row[k]));
    }
  });
}

}  // namespace

const ponder_device_table* fake_device_table() {
  static const ponder_device_table table{
      sizeof table, PONDER_DEVICE_ABI, "fake", count, open, close, info, allocate, release, allocate_host, release_host, transfer,
      transfer, transfer, queue_create, queue_destroy, queue_wait, queue_copy, queue_copy, graph_begin, graph_end, graph_launch,
      graph_destroy, generation, supports, embed, rms_norm, matmul, matmul_gated, matmul_heads, angles, gather, convert, add, mla_store, gqa_store,
      mla_attend, gqa_attend, route, experts, matmul_grouped};
  return &table;
}

}  // namespace ponder::test
