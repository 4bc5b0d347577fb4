// Frequencies and scales of rope_scaling for the dense families, against transformers' formulas.
#include <doctest/doctest.h>

#include <cmath>

#include "lib/model/scratch.h"

using namespace ponder::core;

namespace {

// Qwen2.5's published way to long contexts, with more keys inside rope_scaling.
Result<Config> qwen(const std::string& more = "") {
  return Config::parse(*parse_json(R"({"architectures":["Qwen2ForCausalLM"],"vocab_size":128,"hidden_size":512,
    "intermediate_size":512,"num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"rms_norm_eps":1e-6,
    "max_position_embeddings":32768,"rope_theta":1000000,"rope_scaling":{"type":"yarn","factor":4.0,
    "original_max_position_embeddings":32768)" + more + "}}", "config.json"));
}

double factor(const std::string& more) { return Rope::create(qwen(more).value()).cos_sin_factor; }

}  // namespace

TEST_CASE("rope scaling: YaRN of the dense families has the frequencies of transformers") {
  const Rope rope = Rope::create(qwen().value());
  // _compute_yarn_parameters for 128 dimensions, evaluated in f64; the ramp runs from 23 to 40.
  const std::pair<std::size_t, double> wanted[] = {{0, 1.0},
                                                   {20, 0.01333521432163324},
                                                   {23, 0.006978305848598663},
                                                   {24, 0.005375321490790102},
                                                   {30, 0.0010643609812470017},
                                                   {39, 6.490394320837028e-05},
                                                   {40, 4.445698525097307e-05},
                                                   {63, 3.102344401879299e-07}};
  REQUIRE(rope.inverse_frequencies.size() == 64);
  for (const auto& [i, frequency] : wanted) CHECK(rope.inverse_frequencies[i] == doctest::Approx(frequency).epsilon(1e-12));
  CHECK(rope.cos_sin_factor == doctest::Approx(1.138629436111989).epsilon(1e-12));
  CHECK(rope.attention_scale == doctest::Approx(1 / std::sqrt(128.0)).epsilon(1e-12));
}

TEST_CASE("rope scaling: attention_factor, or both mscales, replace YaRN's own factor of cos and sin") {
  CHECK(factor(R"(,"attention_factor":0.75)") == doctest::Approx(0.75));
  CHECK(factor(R"(,"mscale":0.5)") == doctest::Approx(1.138629436111989));  // alone it says nothing
  const double log = 0.1 * std::log(4.0);
  CHECK(factor(R"(,"mscale":2,"mscale_all_dim":0.5)") == doctest::Approx((2 * log + 1) / (0.5 * log + 1)));
  CHECK(factor(R"(,"mscale":1,"mscale_all_dim":1)") == doctest::Approx(1));
  CHECK(Rope::create(qwen(R"(,"mscale":1,"mscale_all_dim":1)").value()).attention_scale == doctest::Approx(1 / std::sqrt(128.0)));
}

TEST_CASE("rope scaling: what these formulas are not is refused by name") {
  CHECK(qwen(R"(,"truncate":false)").status().message().find("rope_scaling.truncate false is not supported") != std::string::npos);
  CHECK(qwen(R"(,"attention_factor":-1)").status().message().find("rope_scaling.attention_factor is -1") != std::string::npos);
}
