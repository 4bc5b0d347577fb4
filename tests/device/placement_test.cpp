// The memory plan: which weights go to a device.
#include <doctest/doctest.h>

#include <vector>

#include "lib/model/placement.h"

using namespace ponder::core;

namespace {

const std::byte kSomewhere{};

Weight weight(std::size_t n_out, std::size_t n_in, DType type = DType::bf16) {
  Weight w;
  w.type = type;
  w.data = &kSomewhere;
  w.n_out = n_out;
  w.n_in = n_in;
  return w;
}

// A dense layer and `n_moe` layers of 4 experts: 6400 bytes each for the experts of one, 512 for the rest of a layer.
ModelWeights model(std::size_t n_moe) {
  ModelWeights m;
  m.embed_tokens = m.lm_head = weight(32, 16);  // 1024 bytes, tied
  m.layers.resize(1 + n_moe);
  for (std::size_t i = 0; i <= n_moe; ++i) {
    m.layers[i].self_attn.o_proj = weight(16, 16);
    if (i == 0) continue;
    m.layers[i].moe.experts.resize(4);
    for (MlpWeights& e : m.layers[i].moe.experts) e.gate_proj = e.up_proj = weight(20, 16), e.down_proj = weight(10, 16);
  }
  return m;
}

constexpr std::uint64_t kRest = 1024, kLayer = 512, kExperts = 4 * (640 + 640 + 320);
const std::vector<bool> kAll(kDTypeCount, true);

}  // namespace

TEST_CASE("placement: everything where it fits") {
  const auto placed = place(model(3), kAll, false, 1 << 20);
  REQUIRE(placed.ok());
  CHECK(placed->device_bytes == kRest + 4 * kLayer + 3 * kExperts);
  CHECK(placed->n_host_layers() == 0);
}

TEST_CASE("placement: experts of the first layers go to the device, those of the others stay in RAM") {
  const std::uint64_t rest = kRest + 4 * kLayer;
  for (std::size_t n = 0; n <= 3; ++n) {
    CAPTURE(n);
    for (const std::uint64_t more : {std::uint64_t{0}, kExperts - 1}) {
      if (n == 3 && more > 0) continue;
      const auto placed = place(model(3), kAll, false, rest + n * kExperts + more);
      REQUIRE(placed.ok());
      CHECK(placed->device_bytes == rest + n * kExperts);
      CHECK(placed->n_host_layers() == 3 - n);
      for (std::size_t i = 1; i <= 3; ++i) CHECK(placed->experts_on_device[i] == (i <= n));
    }
  }
}

TEST_CASE("placement: a limit of layers, 0 included") {
  for (const std::int64_t limit : {0, 1, 2, 5}) {
    CAPTURE(limit);
    const auto placed = place(model(3), kAll, false, 1 << 20, limit);
    REQUIRE(placed.ok());
    CHECK(placed->n_host_layers() == static_cast<std::size_t>(3 - std::min<std::int64_t>(limit, 3)));
  }
}

TEST_CASE("placement: what the experts leave must fit as a whole") {
  const auto placed = place(model(3), kAll, false, kRest + 4 * kLayer - 1);
  CHECK(placed.status().code() == Code::out_of_memory);
  CHECK(placed.status().message().find(std::to_string(kRest + 4 * kLayer)) != std::string::npos);
}

TEST_CASE("placement: bytes of types that the device knows, and of those that it does not") {
  CHECK(device_bytes({}, true, false) == 0);
  CHECK(device_bytes(weight(3, 7), true, false) == 3 * 16);  // rows are padded to 16 bytes
  CHECK(device_bytes(weight(3, 256, DType::q4_k), true, false) == 3 * 144);
  CHECK(device_bytes(weight(3, 256, DType::iq2_xs), false, false) == 3 * 256 * 2);
  CHECK(device_bytes(weight(3, 256, DType::iq2_xs), false, true) == 3 * 256 * 4);
  const float scale = 1;
  Weight fp8 = weight(130, 200, DType::f8_e4m3);
  fp8.scale_inv = &scale;
  CHECK(device_bytes(fp8, true, false) == 130 * 208 + 2 * 2 * 4);
}
