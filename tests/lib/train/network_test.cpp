// The training pass against the engine's, and gradients against central differences in double.
#include "lib/train/network.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/lib/train/train_fixture.h"

namespace ponder::test {
namespace {

const char* const kModels[] = {"v3-tiny",  "v2-tiny",     "v2lite-tiny",     "qwen2-tiny",  "qwen2-tied-tiny",
                               "llama3-tiny", "llama-odd-tiny", "v2-odd-tiny", "v3-odd-tiny"};

// Two sequences; the second one's picks begin late, as behind a prompt.
TrainBatch two_sequences(const Parameters& parameters, std::size_t first, std::size_t second) {
  TrainBatch batch;
  batch.add(random_ids(parameters, first, 1), 1);
  batch.add(random_ids(parameters, second, 2), 4);
  return batch;
}

// dL / dlogprob of L = sum of c_i logprob_i, of both signs.
std::vector<double> some_weights(std::size_t n) {
  std::vector<double> weights(n);
  for (std::size_t i = 0; i < n; ++i) weights[i] = 0.3 * std::sin(1.7 * static_cast<double>(i) + 0.4) - 0.1;
  return weights;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <class S>
std::vector<S> values_of(const Parameters& parameters) {
  return std::vector<S>(parameters.values(), parameters.values() + parameters.size());
}

template <class S>
std::vector<S> gradients_of(const Context& ctx, const Parameters& parameters, const TrainBatch& batch, double temperature,
                            NetworkOptions options = {}) {
  Network<S> network(ctx, parameters, options);
  const std::vector<S> values = values_of<S>(parameters);
  std::vector<S> gradients(parameters.size());
  std::vector<double> logprobs(batch.picks.size());
  const Status status = network.forward(values.data(), batch, temperature, logprobs);
  REQUIRE_MESSAGE(status.ok(), status.message());
  network.backward(some_weights(batch.picks.size()), gradients.data());
  return gradients;
}

}  // namespace

TEST_CASE("training pass: logits are those of the engine") {
  Workers workers;
  for (const char* name : {"v3-tiny", "v2-tiny", "v2lite-tiny", "qwen2-tiny", "qwen2-tied-tiny", "llama3-tiny", "v3-fp8-tiny",
                           "llama-odd-tiny", "v2-odd-tiny", "v3-odd-tiny", "../gguf/v3-tiny.bf16.gguf",
                           "../gguf/llama3-kq-tiny.gguf", "../gguf/qwen2-tiny.bf16.gguf"}) {
    CAPTURE(name);
    const auto parameters = parameters_of(workers.ctx, name);
    TrainBatch batch = two_sequences(*parameters, 9, 150);  // the second in several blocks of queries
    Network<float> network(workers.ctx, *parameters);
    std::vector<double> logprobs(batch.picks.size()), entropies(batch.picks.size());
    const Status status = network.forward(parameters->values(), batch, 1, logprobs, entropies);
    REQUIRE_MESSAGE(status.ok(), status.message());
    Pass pass(parameters->base());
    for (std::size_t s = 0; s < 2; ++s) {
      const std::size_t start = batch.starts[s], end = s == 0 ? batch.starts[1] : batch.token_ids.size();
      const std::span<const TokenId> ids(batch.token_ids.data() + start, end - start);
      KvCache kv = cache_for(parameters->base(), ids.size());
      const Tensor want = pass.run(ids, kv);
      double largest = 0, scale = 0;
      for (std::size_t t = 0; t < ids.size(); ++t) {
        const std::vector<float> got = network.logits(start + t);
        for (std::size_t v = 0; v < got.size(); ++v) {
          scale = std::max(scale, std::abs(double{want.row(t)[v]}));
          largest = std::max(largest, std::abs(double{got[v]} - double{want.row(t)[v]}));
        }
      }
      CAPTURE(s);
      CHECK(scale > 0);
      CHECK(largest < 1e-4 * scale);
    }
    // Log-probabilities and entropies by their definitions.
    for (const std::size_t i : {std::size_t{0}, batch.picks.size() - 1}) {
      const std::vector<float> z = network.logits(batch.pick_rows[i]);
      double sum = 0, entropy = 0;
      for (const float v : z) sum += std::exp(double{v});
      for (const float v : z) entropy -= std::exp(double{v}) / sum * (double{v} - std::log(sum));
      CHECK(logprobs[i] == doctest::Approx(double{z[static_cast<std::size_t>(batch.picks[i])]} - std::log(sum)).epsilon(1e-6));
      CHECK(entropies[i] == doctest::Approx(entropy).epsilon(1e-6));
    }
  }
}

TEST_CASE("gradients of whole models are those of central differences") {
  Workers workers;
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto parameters = parameters_of(workers.ctx, name);
    TrainBatch batch = two_sequences(*parameters, 6, 11);
    const double temperature = 0.8;
    Network<double> network(workers.ctx, *parameters);
    std::vector<double> values = values_of<double>(*parameters), gradients(parameters->size());
    std::vector<double> logprobs(batch.picks.size());
    const std::vector<double> weights = some_weights(batch.picks.size());
    REQUIRE(network.forward(values.data(), batch, temperature, logprobs).ok());
    network.backward(weights, gradients.data());
    batch.routing = network.routing();  // the choice of experts is a constant
    const auto loss = [&] {
      REQUIRE(network.forward(values.data(), batch, temperature, logprobs).ok());
      return dot(weights, logprobs);
    };
    for (const ParameterTensor& tensor : parameters->tensors()) {
      CAPTURE(tensor.name);
      double* const w = values.data() + tensor.offset;
      const double* const g = gradients.data() + tensor.offset;
      const std::vector<double> before(w, w + tensor.size);
      double squares = 0, size = 0;
      for (std::size_t i = 0; i < tensor.size; ++i) squares += g[i] * g[i], size += before[i] * before[i];
      const double norm = std::sqrt(squares);
      if (!tensor.trained) {
        CHECK(norm == 0);
        continue;
      }
      if (norm == 0) {  // an expert that no token went to
        CHECK(tensor.component == Component::routed_experts);
        continue;
      }
      // Along the gradient, where the slope is its norm, and along a random direction, whose slope is larger than what
      // rounding can hide.
      std::uint64_t state[2];
      seed_random(state, tensor.offset);
      std::vector<double> random(tensor.size);
      for (double& r : random) r = next_uniform(state) - 0.5;
      double random_norm = 0, along = 0;
      for (const double r : random) random_norm += r * r;
      for (std::size_t i = 0; i < tensor.size; ++i) along += g[i] * (random[i] / std::sqrt(random_norm) + g[i] / norm);
      const double h = 1e-5 * std::max(1.0, std::sqrt(size));
      const auto difference = [&](const auto& direction) {
        for (std::size_t i = 0; i < tensor.size; ++i) w[i] = before[i] + h * direction(i);
        const double up = loss();
        for (std::size_t i = 0; i < tensor.size; ++i) w[i] = before[i] - h * direction(i);
        const double down = loss();
        std::copy(before.begin(), before.end(), w);
        return (up - down) / (2 * h);
      };
      CHECK(std::abs(difference([&](std::size_t i) { return g[i] / norm; }) - norm) < 1e-4 * norm);
      CHECK(std::abs(difference([&](std::size_t i) { return random[i] / std::sqrt(random_norm) + g[i] / norm; }) - along) <
            1e-4 * norm);
    }
  }
}

TEST_CASE("f32 gradients are those of double, and packed sequences those of single ones") {
  Workers workers;
  for (const char* name : {"v3-tiny", "v2-tiny", "qwen2-tiny"}) {
    CAPTURE(name);
    const auto parameters = parameters_of(workers.ctx, name);
    const TrainBatch batch = two_sequences(*parameters, 20, 90);
    const std::vector<double> exact = gradients_of<double>(workers.ctx, *parameters, batch, 1);
    const std::vector<float> got = gradients_of<float>(workers.ctx, *parameters, batch, 1);
    double error = 0, size = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      error += (double{got[i]} - exact[i]) * (double{got[i]} - exact[i]);
      size += exact[i] * exact[i];
    }
    CHECK(std::sqrt(error) < 1e-4 * std::sqrt(size));

    std::vector<double> sum(exact.size());
    const std::vector<double> weights = some_weights(batch.picks.size());
    const std::vector<double> values = values_of<double>(*parameters);
    Network<double> network(workers.ctx, *parameters);
    std::size_t first = 0;
    for (std::size_t s = 0; s < 2; ++s) {
      TrainBatch single;
      single.add(random_ids(*parameters, s == 0 ? 20 : 90, s + 1), s == 0 ? 1 : 4);
      std::vector<double> logprobs(single.picks.size());
      REQUIRE(network.forward(values.data(), single, 1, logprobs).ok());
      network.backward({weights.data() + first, logprobs.size()}, sum.data());  // adds to what is there
      first += logprobs.size();
    }
    error = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) error = std::max(error, std::abs(sum[i] - exact[i]));
    CHECK(error < 1e-10 * std::sqrt(size));
  }
}

TEST_CASE("gradients: the same bits for any number of threads, and when layers are computed again") {
  Workers one(1), two(2);
  for (const char* name : {"v3-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const auto parameters = parameters_of(one.ctx, name);
    const TrainBatch batch = two_sequences(*parameters, 70, 33);
    const std::vector<float> want = gradients_of<float>(one.ctx, *parameters, batch, 1);
    const auto same = [&](const std::vector<float>& got) {
      return std::memcmp(got.data(), want.data(), want.size() * sizeof(float)) == 0;
    };
    CHECK(same(gradients_of<float>(two.ctx, *parameters, batch, 1)));
    CHECK(same(gradients_of<float>(two.ctx, *parameters, batch, 1, {.recompute = true})));
    CHECK_FALSE(same(gradients_of<float>(two.ctx, *parameters, batch, 0.9)));
  }
}

TEST_CASE("training pass: batches that break the rules are refused by name") {
  Workers workers;
  const auto parameters = parameters_of(workers.ctx, "v3-tiny");
  Network<float> network(workers.ctx, *parameters);
  const TrainBatch good = two_sequences(*parameters, 5, 6);
  std::vector<double> logprobs(good.picks.size());
  const auto message_of = [&](const TrainBatch& batch, double temperature = 1) {
    return network.forward(parameters->values(), batch, temperature, logprobs).message();
  };
  CHECK(message_of(good) == "");
  CHECK(message_of(good, 0) == "temperature 0: wanted more than 0");
  CHECK(message_of({}) != "");
  TrainBatch bad = good;
  bad.token_ids[3] = 320;
  CHECK(message_of(bad) == "token id 320 is outside the vocabulary of 320 ids");
  bad = good;
  bad.picks.back() = -1;
  CHECK(message_of(bad) == "token id -1 is outside the vocabulary of 320 ids");
  bad = good;
  bad.pick_rows.back() = 11;
  CHECK(message_of(bad).find("row 11 of a pick") == 0);
  bad = good;
  bad.starts[1] = 0;
  CHECK(message_of(bad) == "sequence 0 of the training batch is empty");
  bad = good;
  bad.routing.assign(2, std::vector<std::int32_t>(11 * 4, 16));
  CHECK(message_of(bad) == "expert 16 of 16 in a routing");
  bad.routing.assign(2, std::vector<std::int32_t>(4, 0));
  CHECK(message_of(bad) == "routing of 4 choices, wanted 44");
  bad = good;
  bad.picks.pop_back();
  CHECK(message_of(bad).find("picks") != std::string::npos);
}

}  // namespace ponder::test
