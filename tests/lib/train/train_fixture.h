// Fixture models as parameters, and what calls for a pool.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/session/random.h"
#include "lib/train/network.h"
#include "tests/golden/golden_fixture.h"

namespace ponder::test {

struct Workers {
  explicit Workers(int n_threads = 2) : pool(ThreadPool::create(n_threads).value()), kernels(kernels::make_table(test_isa())) {
    ctx.kernels = &kernels;
    ctx.pool = pool.get();
  }
  std::unique_ptr<ThreadPool> pool;
  kernels::Table kernels;
  Context ctx;
};

inline std::shared_ptr<const Model> fixture_model(const std::string& name) {
  auto model = Model::load(path_source(PONDER_TEST_DATA "/models/" + name), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

inline std::unique_ptr<Parameters> parameters_of(const Context& ctx, const std::string& name) {
  auto parameters = Parameters::create(ctx, fixture_model(name));
  REQUIRE_MESSAGE(parameters.ok(), parameters.status().message());
  return std::move(parameters).value();
}

inline std::vector<TokenId> random_ids(const Parameters& parameters, std::size_t n, std::uint64_t seed) {
  std::uint64_t state[2];
  seed_random(state, seed);
  std::vector<TokenId> ids(n);
  for (TokenId& id : ids)
    id = static_cast<TokenId>(next_random(state) % static_cast<std::uint64_t>(parameters.config().vocab_size));
  return ids;
}

}  // namespace ponder::test
