// Models with their golden results, and the forward pass as the golden tests run it.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "lib/io/safetensors.h"
#include "lib/model/forward.h"

namespace ponder::test {

using namespace ponder::core;

struct Fixture {
  std::shared_ptr<const Model> model;
  Safetensors golden;
  double tolerance;
};

// Both below tests/data: a folder or GGUF file, and the results.
inline Fixture load(const std::string& model_path, const std::string& golden_path, double tolerance) {
  auto model = Model::load(path_source(std::string(PONDER_TEST_DATA "/") + model_path), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  auto file = folder_source(PONDER_TEST_DATA)->open(golden_path);
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  auto golden = Safetensors::parse(*file);
  REQUIRE_MESSAGE(golden.ok(), golden.status().message());
  return {*model, std::move(golden).value(), tolerance};
}

inline Fixture load(const std::string& name) {
  const std::string folder = "models/" + name;
  return load(folder, folder + "/golden.safetensors", name.find("fp8") == name.npos ? 2e-4 : 5e-4);
}

template <class T>
std::vector<T> values(const Fixture& f, const std::string& name) {
  const TensorInfo* info = f.golden.find(name);
  REQUIRE_MESSAGE(info, name);
  std::vector<T> out(info->bytes.size() / sizeof(T));
  std::memcpy(out.data(), info->bytes.data(), info->bytes.size());
  return out;
}

// Largest |a - b| / (tol + tol |b|): at most 1 passes.
inline double worst(const Tensor& a, const std::vector<float>& b, double tolerance) {
  REQUIRE(a.n_rows * a.n_cols == b.size());
  double worst_ratio = 0;
  for (std::size_t t = 0; t < a.n_rows; ++t)
    for (std::size_t i = 0; i < a.n_cols; ++i) {
      const double want = b[t * a.n_cols + i];
      const double ratio = std::abs(double{a.row(t)[i]} - want) / (tolerance + tolerance * std::abs(want));
      if (!(ratio <= worst_ratio)) worst_ratio = ratio;  // NaN is worst
    }
  return worst_ratio;
}

inline KvCache cache_for(const Model& model, std::size_t context_length, std::size_t n_layers = 0) {
  const Config& c = model.config();
  KvLayout layout{n_layers ? n_layers : static_cast<std::size_t>(c.num_hidden_layers),
                  static_cast<std::size_t>(c.kv_row_elements()), DType::f32};
  return KvCache::create(layout, context_length).value();
}

// The runtime's cap, so that the suite runs at each level.
inline kernels::Isa test_isa() {
  kernels::Isa isa = kernels::highest_isa();
  if (const char* name = std::getenv("PONDER_MAX_ISA"))
    REQUIRE_MESSAGE(kernels::isa_from_name(name, isa), name);
  return kernels::best_isa(isa);
}

class Pass {
 public:
  explicit Pass(const Model& model, std::size_t max_rows = 300, kernels::Isa isa = test_isa(),
                MlaForm form = MlaForm::automatic, Compute compute = Compute::exact)
      : pool_(ThreadPool::create(2).value()), kernels_(kernels::make_table(isa)) {
    ctx_.kernels = &kernels_;
    ctx_.pool = pool_.get();
    ctx_.compute = compute;
    auto forward = Forward::create(model, ctx_, {.max_rows = max_rows, .max_logits_rows = max_rows, .mla_form = form});
    REQUIRE_MESSAGE(forward.ok(), forward.status().message());
    forward_ = std::make_unique<Forward>(std::move(forward).value());
  }
  Tensor run(std::span<const TokenId> ids, KvCache& kv, ForwardTap* tap = nullptr) {
    rows_.clear();
    for (std::size_t i = 0; i < ids.size(); ++i) rows_.push_back(i);
    const SequenceRows sequence{&kv, 0, ids.size()};
    const Status status = forward_->run({ids, {&sequence, 1}, rows_, tap});
    REQUIRE_MESSAGE(status.ok(), status.message());
    return forward_->logits();
  }
  Forward& forward() { return *forward_; }

 private:
  std::unique_ptr<ThreadPool> pool_;
  kernels::Table kernels_;
  Context ctx_;
  std::unique_ptr<Forward> forward_;
  std::vector<std::size_t> rows_;
};

}  // namespace ponder::test
