// Every operation of a device module against the fake device's, on the same random inputs. Skipped without a device.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/base/table.h"
#include "tests/device/device_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

// One device with a queue, its buffers, and the same calls for both.
struct Side {
  explicit Side(std::shared_ptr<ops::Device> d) : device(std::move(d)), queue(ops::DeviceQueue::create(device).value()) {}
  const ponder_device_table& table() const { return device->table(); }
  void* put(const void* data, std::size_t n_bytes) {
    buffers.push_back(device->allocate(n_bytes).value());
    REQUIRE(device->upload(buffers.back().data(), data, n_bytes).ok());
    return buffers.back().data();
  }
  template <class T>
  T* put(const std::vector<T>& values) { return static_cast<T*>(put(values.data(), values.size() * sizeof(T))); }
  void wait() {
    const Status status = queue.wait();
    REQUIRE_MESSAGE(status.ok(), status.message());
  }
  std::shared_ptr<ops::Device> device;
  ops::DeviceQueue queue;
  std::vector<ops::DeviceBuffer> buffers;
};

std::mt19937 random_bits(7);

std::vector<float> normal(std::size_t n, float deviation = 1) {
  std::normal_distribution<float> values(0, deviation);
  std::vector<float> out(n);
  for (float& v : out) v = values(random_bits);
  return out;
}

// [n, width] on both sides; padded to `stride`.
struct Rows {
  std::size_t n, width, stride;
  std::uint32_t type;
  std::vector<float> values;  // [n, stride]
  Rows(std::size_t n_rows, std::size_t n_cols, std::uint32_t t, float deviation = 1)
      : n(n_rows), width(n_cols), stride((n_cols + 15) / 16 * 16), type(t), values(normal(n * stride, deviation)) {
    if (type == PONDER_TYPE_BF16)
      for (float& v : values) v = bf16_to_f32(f32_to_bf16(v));
  }
  ponder_device_rows on(Side& side) const {
    if (type == PONDER_TYPE_F32) return {side.put(values), stride, type};
    std::vector<std::uint16_t> halves(values.size());
    for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = f32_to_bf16(values[i]);
    return {side.put(halves), stride, type};
  }
};

std::vector<float> get(Side& side, const ponder_device_rows& r, std::size_t n, std::size_t width) {
  std::vector<float> out;
  const std::size_t size = r.type == PONDER_TYPE_F32 ? 4 : 2;
  std::vector<std::byte> bytes(n * r.stride * size);
  side.wait();
  REQUIRE(side.device->download(bytes.data(), r.data, bytes.size()).ok());
  for (std::size_t t = 0; t < n; ++t)
    for (std::size_t k = 0; k < width; ++k) {
      const std::size_t at = t * r.stride + k;
      float value;
      std::uint16_t half;
      std::memcpy(&value, bytes.data() + at * size, size == 4 ? 4 : 0);
      std::memcpy(&half, bytes.data() + at * size, size == 2 ? 2 : 0);
      out.push_back(size == 4 ? value : bf16_to_f32(half));
    }
  return out;
}

// |got - want| / |want| over all.
double error(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  double difference = 0, square = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += (double{got[i]} - double{want[i]}) * (double{got[i]} - double{want[i]});
    square += double{want[i]} * double{want[i]};
  }
  const double ratio = std::sqrt(difference / square);
  return std::isfinite(ratio) ? ratio : 1e9;
}

struct Matrix {
  ponder_device_matrix shape{};
  std::vector<std::byte> data;
  std::vector<float> scales;
  Matrix(std::uint32_t type, std::size_t n_out, std::size_t n_in, std::size_t n_stacked = 1) {

    const auto dtype = static_cast<DType>(type);
    const std::size_t row = row_bytes(dtype, n_in), padded = (row + 15) / 16 * 16, rows = n_out * n_stacked;
    data.assign(rows * padded, std::byte{0});
    std::uniform_int_distribution<int> any_byte(0, 255);
    for (std::size_t r = 0; r < rows; ++r) {
      std::byte* to = data.data() + r * padded;
      const std::vector<float> values = normal(n_in, 1 / std::sqrt(static_cast<float>(n_in)));
      for (std::size_t k = 0; k < n_in; ++k) {
        const float v = values[k];
        if (type == PONDER_TYPE_F32) std::memcpy(to + 4 * k, &v, 4);
        const std::uint16_t half = type == PONDER_TYPE_F16 ? f32_to_f16(v) : f32_to_bf16(v);
        if (type == PONDER_TYPE_F16 || type == PONDER_TYPE_BF16) std::memcpy(to + 2 * k, &half, 2);
        if (type == PONDER_TYPE_F8_E4M3) to[k] = static_cast<std::byte>(f32_to_f8_e4m3(v * 300));
      }
      if (dtype < DType::q4_0) continue;
      // Random bits of quants, scales that are numbers.
      for (std::size_t i = 0; i < row; ++i) to[i] = static_cast<std::byte>(any_byte(random_bits));
      const std::size_t block = block_bytes(dtype);
      for (std::size_t at = 0; at < row; at += block) {
        const std::uint16_t d = f32_to_f16(0.01f + 0.01f * std::abs(values[at % n_in])), m = f32_to_f16(0.02f);
        std::memcpy(to + at + (dtype == DType::q6_k ? 208 : 0), &d, 2);
        if (dtype == DType::q4_k || dtype == DType::q5_k) std::memcpy(to + at + 2, &m, 2);
      }
    }
    shape.type = type;
    shape.n_out = n_out, shape.n_in = n_in, shape.row_bytes = padded;
    shape.n_stacked = n_stacked, shape.stack_bytes = n_out * padded;
    shape.n_scale_cols = static_cast<std::uint32_t>((n_in + 127) / 128);
    if (type != PONDER_TYPE_F8_E4M3) return;
    shape.stack_scales = (n_out + 127) / 128 * shape.n_scale_cols;
    scales = normal(shape.stack_scales * n_stacked, 0.001f);
    for (float& s : scales) s = std::abs(s) + 0.001f;
  }
  ponder_device_matrix on(Side& side) const {
    ponder_device_matrix m = shape;
    m.data = side.put(data);
    if (!scales.empty()) m.scale_inv = side.put(scales);
    return m;
  }
};

constexpr std::uint32_t kTypes[] = {PONDER_TYPE_F32,  PONDER_TYPE_F16,  PONDER_TYPE_BF16, PONDER_TYPE_F8_E4M3, PONDER_TYPE_Q4_0,
                                    PONDER_TYPE_Q8_0, PONDER_TYPE_Q4_K, PONDER_TYPE_Q5_K, PONDER_TYPE_Q6_K};

// Native fp8 rounds activations to e4m3 (3 bits of mantissa): up to 2^-4 each, some 2.5 % as root mean square.
double tolerance(std::uint32_t x_type, std::uint32_t weight_type, std::size_t n) {
  if (x_type == PONDER_TYPE_F32) return 1e-5;
  return weight_type == PONDER_TYPE_F8_E4M3 && n > 4 ? 0.04 : 6e-3;
}

// body(side) on both, results compared.
template <class Body>
void compare(double at_most, const Body& body) {
  const auto device = cuda_device();
  if (!device) return;
  Side fake(fake_device()), real(device);
  const std::vector<float> want = body(fake), got = body(real);
  CHECK(error(got, want) <= at_most);
}

// A cache with random content behind rows of the given sequences.
struct TestCache {
  std::vector<std::size_t> lengths, n_rows;  // tokens before the pass, rows in it
  std::size_t elements, rope;
  std::uint32_t type;
  std::vector<std::vector<std::uint16_t>> blocks;  // halves of all blocks; f32 caches twice as many
  std::vector<ponder_device_sequence> sequences;
  std::size_t total = 0;
  TestCache(std::vector<std::size_t> before, std::vector<std::size_t> rows, std::size_t n_elements, std::size_t rope_dims, std::uint32_t t)
      : lengths(std::move(before)), n_rows(std::move(rows)), elements(n_elements), rope(rope_dims), type(t) {
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      sequences.push_back({total, n_rows[i], lengths[i]});
      total += n_rows[i];
      for (std::size_t b = 0; b < (lengths[i] + n_rows[i] + 63) / 64; ++b) {
        const std::vector<float> values = normal(64 * elements);
        std::vector<std::uint16_t> block;
        if (type == PONDER_TYPE_F32) {
          block.resize(2 * values.size());
          std::memcpy(block.data(), values.data(), 4 * values.size());
        } else {
          for (float v : values) block.push_back(type == PONDER_TYPE_F16 ? f32_to_f16(v) : f32_to_bf16(v));
        }
        blocks.push_back(std::move(block));
      }
    }
  }
  ponder_device_cache on(Side& side) const {
    std::vector<void*> addresses;
    for (const auto& block : blocks) addresses.push_back(side.put(block));
    std::vector<std::int32_t> first, row_sequence, positions;
    std::vector<float> cos, sin;
    std::size_t at = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      first.push_back(static_cast<std::int32_t>(at));
      at += (lengths[i] + n_rows[i] + 63) / 64;
      for (std::size_t r = 0; r < n_rows[i]; ++r) {
        row_sequence.push_back(static_cast<std::int32_t>(i));
        positions.push_back(static_cast<std::int32_t>(lengths[i] + r));
        for (std::size_t k = 0; k < rope / 2; ++k) {
          const double angle = static_cast<double>(lengths[i] + r) * std::pow(10000.0, -2.0 * static_cast<double>(k) / static_cast<double>(rope));
          cos.push_back(static_cast<float>(std::cos(angle)));
          sin.push_back(static_cast<float>(std::sin(angle)));
        }
      }
    }
    ponder_device_cache c{};
    c.blocks = side.put(addresses);
    c.first_block = side.put(first);
    c.row_sequence = side.put(row_sequence);
    c.positions = side.put(positions);
    c.cos = side.put(cos);
    c.sin = side.put(sin);
    c.row_elements = elements;
    c.type = type;
    c.block_tokens = 64;
    c.n_rows = total;
    c.n_sequences = sequences.size();
    c.sequences = sequences.data();
    return c;
  }
};

}  // namespace

TEST_CASE("device ops: products of all types of weights, of one row to many, f32 and bf16") {
  if (!cuda_device()) return;
  for (const std::uint32_t type : kTypes)
    for (const std::uint32_t x_type : {PONDER_TYPE_F32, PONDER_TYPE_BF16})
      for (const std::size_t n : {1, 3, 9, 40, 200}) {
        CAPTURE(type);
        CAPTURE(x_type);
        CAPTURE(n);
        const bool blocks = static_cast<DType>(type) >= DType::q4_0;
        const Matrix w(type, 136, blocks || n > 100 ? 512 : 328);
        const Rows x(n, w.shape.n_in, x_type), y(n, 136, PONDER_TYPE_F32);
        const std::vector<float> bias = normal(136);
        for (const std::uint32_t accumulate : {0u, 1u})
          compare(tolerance(x_type, type, n), [&](Side& side) {
            const ponder_device_rows out = y.on(side);
            const ponder_device_matrix m = w.on(side);
            side.table().matmul(side.queue.handle(), out, x.on(side), &m, side.put(bias), n, accumulate);
            return get(side, out, n, 136);
          });
      }
}

TEST_CASE("device ops: a row of an f32 product has the same bits in any company") {
  const auto device = cuda_device();
  if (!device) return;
  Side side(device);
  const Matrix w(PONDER_TYPE_Q4_K, 70, 2560);
  const Rows x(37, 2560, PONDER_TYPE_F32), y(37, 70, PONDER_TYPE_F32);
  const ponder_device_matrix m = w.on(side);
  const ponder_device_rows in = x.on(side), out = y.on(side), one = y.on(side);
  side.table().matmul(side.queue.handle(), out, in, &m, nullptr, 37, 0);
  const std::vector<float> all = get(side, out, 37, 70);
  for (std::size_t t : {0, 5, 36}) {
    ponder_device_rows row = in;
    row.data = static_cast<float*>(in.data) + t * in.stride;
    side.table().matmul(side.queue.handle(), one, row, &m, nullptr, 1, 0);
    const std::vector<float> alone = get(side, one, 1, 70);
    CHECK(std::equal(alone.begin(), alone.end(), all.begin() + static_cast<std::ptrdiff_t>(t * 70)));
  }
}

TEST_CASE("device ops: gated products and products by heads") {
  if (!cuda_device()) return;
  for (const std::uint32_t x_type : {PONDER_TYPE_F32, PONDER_TYPE_BF16})
    for (const std::size_t n : {1, 3, 20, 150}) {
      CAPTURE(x_type);
      CAPTURE(n);
      for (const std::uint32_t type : {PONDER_TYPE_BF16, PONDER_TYPE_F8_E4M3, PONDER_TYPE_Q6_K}) {
        CAPTURE(type);
        const Matrix gate(type, 200, 512), up(type, 200, 512);
        const Rows x(n, 512, x_type), y(n, 200, x_type);
        compare(2 * tolerance(x_type, type, n), [&](Side& side) {
          const ponder_device_rows out = y.on(side);
          const ponder_device_matrix g = gate.on(side), u = up.on(side);
          side.table().matmul_gated(side.queue.handle(), out, x.on(side), &g, &u, n);
          return get(side, out, n, 200);
        });
      }
      for (const std::uint32_t type : {PONDER_TYPE_F32, PONDER_TYPE_F16, PONDER_TYPE_BF16})
        for (const std::uint32_t transposed : {0u, 1u}) {
          const Matrix w(type, 48, 64, 3);
          const std::size_t in = transposed ? 48 : 64, out_cols = transposed ? 64 : 48;
          const Rows x(n, 3 * (in + 16), x_type), y(n, 3 * out_cols, x_type);
          compare(x_type == PONDER_TYPE_F32 ? 1e-5 : 6e-3, [&](Side& side) {
            const ponder_device_rows to = y.on(side);
            const ponder_device_matrix m = w.on(side);
            side.table().matmul_heads(side.queue.handle(), to, out_cols, x.on(side), in + 16, &m, transposed, n);
            return get(side, to, n, 3 * out_cols);
          });
        }
    }
}

TEST_CASE("device ops: norms, embedding, gathered, converted and added rows") {
  if (!cuda_device()) return;
  for (const std::size_t width : {64, 100, 2048, 7168, 9000})
    for (const std::uint32_t type : {PONDER_TYPE_F32, PONDER_TYPE_BF16}) {
      CAPTURE(width);
      const Rows x(5, width, PONDER_TYPE_F32), y(5, width, type), y32(5, width, PONDER_TYPE_F32);
      const std::vector<float> weight = normal(width);
      for (const bool both : {false, true})
        compare(type == PONDER_TYPE_F32 ? 1e-6 : 4e-3, [&](Side& side) {
          const ponder_device_rows out = y.on(side), out32 = both ? y32.on(side) : ponder_device_rows{};
          side.table().rms_norm(side.queue.handle(), out, out32, x.on(side), side.put(weight), 5, width, 1e-6f);
          std::vector<float> all = get(side, out, 5, width);
          if (both) {
            const std::vector<float> more = get(side, out32, 5, width);
            all.insert(all.end(), more.begin(), more.end());
          }
          return all;
        });
      const std::vector<std::int32_t> ids{4, 0, 3};
      compare(type == PONDER_TYPE_F32 ? 1e-6 : 4e-3, [&](Side& side) {
        const ponder_device_rows out = y.on(side), in = x.on(side), sum = y32.on(side);
        side.table().gather(side.queue.handle(), out, in, side.put(ids), 3, width);
        side.table().add(side.queue.handle(), sum, in, 5, width);
        std::vector<float> all = get(side, out, 3, width), more = get(side, sum, 5, width);
        all.insert(all.end(), more.begin(), more.end());
        return all;
      });
    }
  for (const std::uint32_t type : kTypes) {
    CAPTURE(type);
    const Matrix w(type, 300, 512);
    const Rows y(3, 512, PONDER_TYPE_F32);
    const std::vector<std::int32_t> ids{299, 0, 131};
    compare(1e-6, [&](Side& side) {
      const ponder_device_rows out = y.on(side);
      const ponder_device_matrix m = w.on(side);
      side.table().embed(side.queue.handle(), out, &m, side.put(ids), 3);
      return get(side, out, 3, 512);
    });
  }
}

TEST_CASE("device ops: MLA of the official shape, decoding and prefill, every cache type") {
  if (!cuda_device()) return;
  struct Case {
    std::vector<std::size_t> before, rows;
  };
  const Case cases[] = {{{0}, {1}}, {{63, 64, 200, 5, 0, 130}, {1, 1, 1, 1, 1, 1}}, {{700}, {1}}, {{10, 100}, {3, 2}}, {{40, 0, 90}, {1, 70, 1}}};
  for (const Case& c : cases)
    for (const std::uint32_t kv_type : {PONDER_TYPE_F32, PONDER_TYPE_F16, PONDER_TYPE_BF16})
      for (const std::uint32_t x_type : {PONDER_TYPE_F32, PONDER_TYPE_BF16}) {
        if (x_type == PONDER_TYPE_F32 && kv_type != PONDER_TYPE_F32) continue;
        CAPTURE(c.before[0]);
        CAPTURE(kv_type);
        CAPTURE(x_type);
        const TestCache cache(c.before, c.rows, 576, 64, kv_type);
        ponder_device_heads heads{};
        heads.n_heads = 16, heads.n_kv_heads = 1, heads.nope = 128, heads.rope = 64, heads.rank = 512, heads.v = 128;
        heads.scale = 0.0721f;
        const Matrix kv_b(PONDER_TYPE_BF16, 256, 512, 16);
        const Rows q(cache.total, 16 * 192, x_type), kv(cache.total, 576, x_type), out(cache.total, 16 * 128, x_type);
        const std::vector<float> norm = normal(512);
        compare(x_type == PONDER_TYPE_F32 ? 2e-5 : 2e-2, [&](Side& side) {
          const ponder_device_cache on_side = cache.on(side);
          const ponder_device_rows to = out.on(side), queries = q.on(side);
          const ponder_device_matrix m = kv_b.on(side);
          side.table().mla_store(side.queue.handle(), &on_side, &heads, queries, kv.on(side), side.put(norm));
          side.table().mla_attend(side.queue.handle(), &on_side, &heads, to, queries, &m);
          return get(side, to, cache.total, 16 * 128);
        });
      }
}

TEST_CASE("device ops: grouped-query attention, both rotations") {
  if (!cuda_device()) return;
  for (const std::uint32_t dim : {16u, 64u, 128u})
    for (const std::uint32_t x_type : {PONDER_TYPE_F32, PONDER_TYPE_BF16})
      for (const std::uint32_t interleaved : {0u, 1u}) {
        CAPTURE(dim);
        CAPTURE(x_type);
        const std::uint32_t kv_type = x_type == PONDER_TYPE_F32 ? PONDER_TYPE_F32 : interleaved ? PONDER_TYPE_F16 : PONDER_TYPE_BF16;
        const TestCache cache({0, 100, 30}, {150, 1, 4}, 2 * 2 * dim, dim, kv_type);
        ponder_device_heads heads{};
        heads.n_heads = 6, heads.n_kv_heads = 2, heads.rope = dim, heads.interleaved = interleaved;
        heads.scale = 1 / std::sqrt(static_cast<float>(dim));
        const Rows q(cache.total, 6 * dim, x_type), kv(cache.total, 4 * dim, x_type), out(cache.total, 6 * dim, x_type);
        compare(x_type == PONDER_TYPE_F32 ? 2e-5 : 2e-2, [&](Side& side) {
          const ponder_device_cache on_side = cache.on(side);
          const ponder_device_rows to = out.on(side), queries = q.on(side);
          side.table().gqa_store(side.queue.handle(), &on_side, &heads, queries, kv.on(side));
          side.table().gqa_attend(side.queue.handle(), &on_side, &heads, to, queries);
          return get(side, to, cache.total, 6 * dim);
        });
      }
}

TEST_CASE("device ops: router and experts") {
  if (!cuda_device()) return;
  for (const std::uint32_t n_experts : {8u, 64u, 256u})
    for (const std::size_t n : {1, 4, 60, 300})
      for (const bool v3 : {false, true}) {
        CAPTURE(n_experts);
        CAPTURE(n);
        CAPTURE(v3);
        ponder_device_router router{n_experts, v3 ? 4u : 6u, v3 ? 4u : 1u, v3 ? 2u : 1u, v3, v3, v3, v3, v3 ? 2.5f : 1.0f};
        if (n_experts == 8) router.top_k = 2;
        const Rows scores(n, n_experts, PONDER_TYPE_F32, 2);
        const std::vector<float> bias = normal(n_experts, 0.1f);
        const std::vector<std::int32_t> zeros(n * router.top_k), firsts(n_experts + 1);
        const std::vector<float> no_weights(n * router.top_k);
        const auto slots_on = [&](Side& side) {
          return ponder_device_slots{side.put(zeros), side.put(no_weights), side.put(firsts), side.put(zeros), side.put(zeros), n_experts, router.top_k};
        };
        const auto route = [&](Side& side, const ponder_device_slots& slots) {
          side.table().route(side.queue.handle(), &router, scores.on(side), side.put(bias), &slots, n);
        };
        compare(1e-5, [&](Side& side) {
          const ponder_device_slots slots = slots_on(side);
          route(side, slots);
          side.wait();
          std::vector<std::int32_t> ids(zeros.size()), first(n_experts + 1), order(zeros.size()), at(zeros.size());
          std::vector<float> weights(zeros.size()), all;
          REQUIRE(side.device->download(ids.data(), slots.ids, ids.size() * 4).ok());
          REQUIRE(side.device->download(first.data(), slots.first, first.size() * 4).ok());
          REQUIRE(side.device->download(order.data(), slots.order, order.size() * 4).ok());
          REQUIRE(side.device->download(at.data(), slots.at, at.size() * 4).ok());
          REQUIRE(side.device->download(weights.data(), slots.weights, weights.size() * 4).ok());
          for (std::int32_t id : ids) all.push_back(static_cast<float>(100 * id));
          for (std::int32_t f : first) all.push_back(static_cast<float>(100 * f));
          all.insert(all.end(), weights.begin(), weights.end());
          for (std::size_t i = 0; i < order.size(); ++i) {
            const auto slot = static_cast<std::size_t>(order[i]);
            CHECK(at[slot] == static_cast<std::int32_t>(i));
            const auto e = static_cast<std::size_t>(ids[slot]);
            CHECK((static_cast<std::int32_t>(i) >= first[e] && static_cast<std::int32_t>(i) < first[e + 1]));
          }
          return all;
        });
        if (n_experts == 256) continue;
        for (const std::uint32_t type : {PONDER_TYPE_BF16, PONDER_TYPE_F8_E4M3, PONDER_TYPE_Q4_K})
          for (const std::uint32_t x_type : {PONDER_TYPE_F32, PONDER_TYPE_BF16}) {
            if (n == 300 && (type == PONDER_TYPE_Q4_K || x_type == PONDER_TYPE_F32 || v3)) continue;  // the fake one takes long
            CAPTURE(type);
            CAPTURE(x_type);
            const Matrix gate(type, 256, 256, n_experts), up(type, 256, 256, n_experts), down(type, 256, 256, n_experts);
            const Rows x(n, 256, x_type), out(n, 256, PONDER_TYPE_F32, 0.1f);
            compare(3 * tolerance(x_type, type, n), [&](Side& side) {
              const ponder_device_slots slots = slots_on(side);
              route(side, slots);
              const ponder_device_rows to = out.on(side);
              const ponder_device_matrix g = gate.on(side), u = up.on(side), d = down.on(side);
              side.table().experts(side.queue.handle(), to, x.on(side), &g, &u, &d, nullptr, &slots, n);
              return get(side, to, n, 256);
            });
            if (n > 4 || n_experts > 8) continue;
            for (const std::size_t width : {512, 2304}) {  // 2 and 9 times a routed expert
              CAPTURE(width);
              const Matrix all_gate(type, width, 256), all_up(type, width, 256), all_down(type, 256, width);
              compare(3 * tolerance(x_type, type, n), [&](Side& side) {
                const ponder_device_slots slots = slots_on(side);
                route(side, slots);
                const ponder_device_rows to = out.on(side);
                const ponder_device_matrix g = gate.on(side), u = up.on(side), d = down.on(side);
                const ponder_device_matrix ag = all_gate.on(side), au = all_up.on(side), ad = all_down.on(side);
                const ponder_device_matrix* shared[] = {&ag, &au, &ad};
                side.table().experts(side.queue.handle(), to, x.on(side), &g, &u, &d, shared, &slots, n);
                return get(side, to, n, 256);
              });
            }
          }
      }
}
