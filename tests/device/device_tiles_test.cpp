// Shapes with more tiles than a device has multiprocessors, where the fake device would take too long: the quick kernels against
// the exact ones of the same device, and against themselves in small pieces. Skipped without a device.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tests/device/device_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

class Real {
 public:
  explicit Real(std::shared_ptr<ops::Device> device) : device_(std::move(device)), queue_(ops::DeviceQueue::create(device_).value()) {}
  const ponder_device_table& table() const { return device_->table(); }
  ponder_queue* queue() const { return queue_.handle(); }
  std::byte* memory(std::size_t n_bytes) {
    buffers_.push_back(device_->allocate(n_bytes).value());
    return buffers_.back().data();
  }
  template <class T>
  T* put(const std::vector<T>& values) {
    std::byte* to = memory(values.size() * sizeof(T));
    REQUIRE(device_->upload(to, values.data(), values.size() * sizeof(T)).ok());
    return reinterpret_cast<T*>(to);
  }
  ponder_device_rows rows(std::size_t n, std::size_t width, std::uint32_t type, float deviation = 1) {
    std::vector<float> values(n * width);
    std::normal_distribution<float> normal(0, deviation);
    for (float& v : values) v = bf16_to_f32(f32_to_bf16(normal(random)));
    if (type == PONDER_TYPE_F32) return {put(values), width, type};
    return {put(halves(values)), width, type};
  }
  static std::vector<std::uint16_t> halves(const std::vector<float>& values) {
    std::vector<std::uint16_t> out;
    for (float v : values) out.push_back(f32_to_bf16(v));
    return out;
  }
  ponder_device_matrix matrix(std::uint32_t type, std::size_t n_out, std::size_t n_in, std::size_t n_stacked) {
    ponder_device_matrix m{};
    const std::size_t element = type == PONDER_TYPE_BF16 ? 2 : 1, count = n_out * n_in * n_stacked;
    m.type = type, m.n_out = n_out, m.n_in = n_in, m.n_stacked = n_stacked;
    m.row_bytes = n_in * element, m.stack_bytes = n_out * m.row_bytes;
    m.n_scale_cols = static_cast<std::uint32_t>(n_in / 128);
    std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(n_in)));
    if (type == PONDER_TYPE_BF16) {
      std::vector<std::uint16_t> values(count);
      for (auto& v : values) v = f32_to_bf16(normal(random));
      m.data = put(values);
      return m;
    }
    std::vector<std::uint8_t> values(count);
    for (auto& v : values) v = f32_to_f8_e4m3(100 * normal(random));
    m.data = put(values);
    m.stack_scales = (n_out + 127) / 128 * m.n_scale_cols;
    std::vector<float> scales(m.stack_scales * n_stacked);
    for (float& s : scales) s = 0.005f + 0.01f * static_cast<float>(random() % 100) / 100;
    m.scale_inv = put(scales);
    return m;
  }
  std::vector<float> get(const ponder_device_rows& r, std::size_t first, std::size_t n, std::size_t width) {
    const Status status = queue_.wait();
    REQUIRE_MESSAGE(status.ok(), status.message());
    const std::size_t size = r.type == PONDER_TYPE_F32 ? 4 : 2;
    std::vector<std::byte> bytes(n * r.stride * size);
    REQUIRE(device_->download(bytes.data(), static_cast<std::byte*>(r.data) + first * r.stride * size, bytes.size()).ok());
    std::vector<float> out;
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t k = 0; k < width; ++k) {
        float value = 0;
        std::uint16_t half = 0;
        const std::byte* at = bytes.data() + (t * r.stride + k) * size;
        if (size == 4) std::memcpy(&value, at, 4);
        else std::memcpy(&half, at, 2);
        out.push_back(size == 4 ? value : bf16_to_f32(half));
      }
    return out;
  }
  std::mt19937 random{3};

 private:
  std::shared_ptr<ops::Device> device_;
  ops::DeviceQueue queue_;
  std::vector<ops::DeviceBuffer> buffers_;
};

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

ponder_device_rows row_of(ponder_device_rows r, std::size_t first) {
  r.data = static_cast<std::byte*>(r.data) + first * r.stride * (r.type == PONDER_TYPE_F32 ? 4 : 2);
  return r;
}

}  // namespace

TEST_CASE("device tiles: an fp8 product of many tiles has the bits of its pieces, into f32 and bf16") {
  const auto device = cuda_device();
  if (!device) return;
  Real real(device);
  const std::size_t n = 2500, n_out = 1500, n_in = 1536;
  const ponder_device_matrix w = real.matrix(PONDER_TYPE_F8_E4M3, n_out, n_in, 1);
  const ponder_device_rows x = real.rows(n, n_in, PONDER_TYPE_BF16);
  for (const std::uint32_t type : {PONDER_TYPE_F32, PONDER_TYPE_BF16}) {
    const ponder_device_rows y = real.rows(n, n_out, type), piece = real.rows(100, n_out, type);
    real.table().matmul(real.queue(), y, x, &w, nullptr, n, 0);
    for (const std::size_t first : {0, 700, 2400}) {
      real.table().matmul(real.queue(), piece, row_of(x, first), &w, nullptr, 100, 0);
      CHECK((real.get(piece, 0, 100, n_out) == real.get(y, first, 100, n_out)));
    }
    const ponder_device_rows exact = real.rows(100, n_out, PONDER_TYPE_F32), x32 = real.rows(100, n_in, PONDER_TYPE_F32);
    real.table().convert(real.queue(), x32, x, 100, n_in);
    real.table().matmul(real.queue(), exact, x32, &w, nullptr, 100, 0);
    CHECK(error(real.get(y, 0, 100, n_out), real.get(exact, 0, 100, n_out)) < 0.04);
  }
}

TEST_CASE("device tiles: grouped products of many tiles, fp8 and bf16, against each expert alone") {
  const auto device = cuda_device();
  if (!device) return;
  for (const std::uint32_t type : {PONDER_TYPE_F8_E4M3, PONDER_TYPE_BF16})
    for (const bool uneven : {false, true}) {
      CAPTURE(type);
      CAPTURE(uneven);
      Real real(device);
      const std::size_t n = 1500, n_out = 640, n_in = 1024, n_experts = 24, top_k = 4, n_slots = n * top_k;
      const ponder_device_matrix w = real.matrix(type, n_out, n_in, n_experts);
      const ponder_device_rows x = real.rows(n, n_in, PONDER_TYPE_BF16), y = real.rows(n_slots, n_out, PONDER_TYPE_BF16);
      std::vector<float> score(n * n_experts);
      std::normal_distribution<float> normal(0, 1);
      for (std::size_t i = 0; i < score.size(); ++i)
        score[i] = normal(real.random) + (uneven ? 0.3f * static_cast<float>(i % n_experts) : 0.0f);  // a few rows to hundreds
      const ponder_device_rows scores{real.put(score), n_experts, PONDER_TYPE_F32};
      const auto ints = [&](std::size_t count) { return reinterpret_cast<std::int32_t*>(real.memory(count * 4)); };
      const ponder_device_slots slots{ints(n_slots), reinterpret_cast<float*>(ints(n_slots)), ints(n_experts + 1), ints(n_slots), ints(n_slots),
                                      static_cast<std::uint32_t>(n_experts), static_cast<std::uint32_t>(top_k)};
      const ponder_device_router router{slots.n_experts, slots.top_k, 1, 1, 0, 0, 0, 0, 1};
      real.table().route(real.queue(), &router, scores, nullptr, &slots, n);
      real.table().matmul_grouped(real.queue(), y, x, &w, &slots, n_slots, 0);
      const std::vector<float> got = real.get(y, 0, n_slots, n_out);
      std::vector<std::int32_t> first(n_experts + 1), order(n_slots);
      REQUIRE(device->download(first.data(), slots.first, first.size() * 4).ok());
      REQUIRE(device->download(order.data(), slots.order, order.size() * 4).ok());
      REQUIRE(first[n_experts] == static_cast<std::int32_t>(n_slots));
      for (std::size_t e = 0; e < n_experts; ++e) {
        const auto begin = static_cast<std::size_t>(first[e]), count = static_cast<std::size_t>(first[e + 1]) - begin;
        if (count <= 16) continue;  // other kernels then
        std::vector<std::int32_t> tokens;
        for (std::size_t i = begin; i < begin + count; ++i) tokens.push_back(order[i] / static_cast<std::int32_t>(top_k));
        ponder_device_matrix one = w;
        one.n_stacked = 1;
        one.data = static_cast<const std::byte*>(w.data) + e * w.stack_bytes;
        if (w.scale_inv) one.scale_inv = w.scale_inv + e * w.stack_scales;
        const ponder_device_rows in = real.rows(count, n_in, PONDER_TYPE_BF16), out = real.rows(count, n_out, PONDER_TYPE_BF16);
        real.table().gather(real.queue(), in, x, real.put(tokens), count, n_in);
        real.table().matmul(real.queue(), out, in, &one, nullptr, count, 0);
        const std::vector<float> want = real.get(out, 0, count, n_out);
        const std::vector<float> part(got.begin() + static_cast<std::ptrdiff_t>(begin * n_out),
                                      got.begin() + static_cast<std::ptrdiff_t>((begin + count) * n_out));
        if (type == PONDER_TYPE_F8_E4M3) CHECK((part == want));
        else CHECK(error(part, want) < 5e-3);  // cuBLASLt's
      }
    }
}

TEST_CASE("device tiles: MLA decoding of many sequences, a few heads and 128, against f32 arithmetic on the same cache") {
  const auto device = cuda_device();
  if (!device) return;
  for (const std::uint32_t n_heads : {16u, 128u}) {
    CAPTURE(n_heads);
    Real real(device);
    const std::size_t batch = n_heads == 16 ? 200 : 20;
    std::vector<void*> blocks;
    std::vector<std::int32_t> first, sequence, positions;
    std::vector<ponder_device_sequence> sequences;
    for (std::size_t i = 0; i < batch; ++i) {
      const std::size_t length = 1 + real.random() % 900;
      first.push_back(static_cast<std::int32_t>(blocks.size()));
      sequence.push_back(static_cast<std::int32_t>(i));
      positions.push_back(static_cast<std::int32_t>(length - 1));
      sequences.push_back({i, 1, length - 1});
      for (std::size_t b = 0; b < (length + 63) / 64; ++b) {
        std::vector<std::uint16_t> block(64 * 576);
        std::normal_distribution<float> normal(0, 1);
        // What lies behind the last row is never to matter: NaN.
        for (std::size_t k = 0; k < block.size(); ++k) block[k] = b * 64 + k / 576 < length ? f32_to_bf16(normal(real.random)) : 0x7fff;
        blocks.push_back(real.put(block));
      }
    }
    ponder_device_cache c{};
    c.blocks = real.put(blocks), c.first_block = real.put(first), c.row_sequence = real.put(sequence), c.positions = real.put(positions);
    c.row_elements = 576, c.type = PONDER_TYPE_BF16, c.block_tokens = 64, c.n_rows = c.n_sequences = batch, c.sequences = sequences.data();
    ponder_device_heads heads{};
    heads.n_heads = n_heads, heads.n_kv_heads = 1, heads.nope = 128, heads.rope = 64, heads.rank = 512, heads.v = 128, heads.scale = 0.05f;
    const ponder_device_matrix kv_b = real.matrix(PONDER_TYPE_BF16, 256, 512, n_heads);
    const ponder_device_rows q = real.rows(batch, n_heads * 192, PONDER_TYPE_BF16), q32 = real.rows(batch, n_heads * 192, PONDER_TYPE_F32);
    const ponder_device_rows out = real.rows(batch, n_heads * 128, PONDER_TYPE_BF16), out32 = real.rows(batch, n_heads * 128, PONDER_TYPE_F32);
    real.table().convert(real.queue(), q32, q, batch, n_heads * 192);
    for (int round = 0; round < 3; ++round) {
      real.table().mla_attend(real.queue(), &c, &heads, out, q, &kv_b);
      real.table().mla_attend(real.queue(), &c, &heads, out32, q32, &kv_b);
      CHECK(error(real.get(out, 0, batch, n_heads * 128), real.get(out32, 0, batch, n_heads * 128)) < 1e-2);
    }
  }
}
