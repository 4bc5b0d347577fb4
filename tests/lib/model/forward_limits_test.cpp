// The forward pass and its cache at their limits: sizes that cannot be had, weights that are no numbers.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "lib/model/forward.h"
#include "tests/lib/model/editable_checkpoint.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

Context context(ThreadPool& pool, const ponder::kernels::Table& kernels) {
  Context ctx;
  ctx.kernels = &kernels;
  ctx.pool = &pool;
  return ctx;
}

}  // namespace

TEST_CASE("kv cache: a context that cannot be had is out of memory, at once") {
  const KvLayout tiny{1, 1, DType::f32}, official{61, 576, DType::f32};
  for (const std::size_t length : {std::size_t{1} << 46, std::size_t{1} << 60, std::numeric_limits<std::size_t>::max()})
    for (const KvLayout& layout : {tiny, official}) {
      const auto cache = KvCache::create(layout, length);
      REQUIRE_FALSE(cache.ok());
      CHECK(cache.status().code() == Code::out_of_memory);
      CHECK(names(cache.status(), std::to_string(length)));
    }
}

TEST_CASE("forward: scratch that cannot be had is out of memory") {
  const auto pool = ThreadPool::create(1).value();
  const auto kernels = ponder::kernels::make_table(ponder::kernels::highest_isa());
  const Files files = Editable("qwen2-tiny").files();
  const auto model = load_files(files);
  REQUIRE(model.ok());
  const auto forward = Forward::create(**model, context(*pool, kernels), {.max_rows = std::size_t{1} << 40});
  REQUIRE_FALSE(forward.ok());
  CHECK(forward.status().code() == Code::out_of_memory);
}

TEST_CASE("forward: NaN and infinite weights run to an end and show in the logits") {
  const auto pool = ThreadPool::create(2).value();
  const auto kernels = ponder::kernels::make_table(ponder::kernels::highest_isa());
  for (const char* name : {"v3-tiny", "v2-tiny", "llama3-tiny", "v3-fp8-tiny"})
    for (const char* part : {"model.norm.weight", "model.embed_tokens.weight", "input_layernorm.weight",
                             "kv_a_proj_with_mqa.weight", "v_proj.weight", "mlp.gate.weight", "down_proj.weight"})
      for (const bool infinite : {false, true}) {
        CAPTURE(name);
        CAPTURE(part);
        Editable e(name);
        bool changed = false;
        for (auto& [tensor, entry] : e.tensors) {
          if (!tensor.ends_with(part)) continue;
          changed = true;
          if (entry.type == DType::f8_e4m3) {
            for (char& c : entry.bytes) c = '\x7f';
          } else {
            REQUIRE(entry.type == DType::bf16);
            for (std::size_t i = 0; i < entry.bytes.size(); i += 2)
              entry.bytes[i] = infinite ? '\x80' : '\xc0', entry.bytes[i + 1] = '\x7f';
          }
        }
        if (!changed) continue;
        const Files files = e.files();  // the weights stay there
        const auto model = load_files(files);
        REQUIRE_MESSAGE(model.ok(), model.status().message());
        auto forward = Forward::create(**model, context(*pool, kernels), {.max_rows = 8, .max_logits_rows = 8});
        REQUIRE(forward.ok());
        const Config& c = (*model)->config();
        KvCache kv = KvCache::create({static_cast<std::size_t>(c.num_hidden_layers),
                                      static_cast<std::size_t>(c.kv_row_elements()), DType::f32}, 16).value();
        const TokenId ids[] = {0, 5, 9, 100, 3};
        const std::size_t rows[] = {0, 1, 2, 3, 4};
        const SequenceRows sequence{&kv, 0, 5};
        REQUIRE(forward->run({ids, {&sequence, 1}, rows, nullptr}).ok());
        bool finite = true;
        for (std::size_t t = 0; t < 5; ++t)
          for (const float logit : forward->logits().row_span(t)) finite = finite && std::isfinite(logit);
        if (std::string(part) != "mlp.gate.weight") CHECK_FALSE(finite);  // an infinite router only picks other experts
      }
}
