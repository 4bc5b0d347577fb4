// GGUF files against the results of the same weights in safetensors, and of ggml's own dequantisation
// (tests/data/gguf/README.md).
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "tests/golden/golden_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

struct Twin {
  const char* gguf;
  const char* golden;
  double tolerance;
};
const Twin kTwins[] = {{"v3-tiny.bf16.gguf", "models/v3-tiny/golden.safetensors", 2e-4},
                       {"v2lite-tiny.bf16.gguf", "models/v2lite-tiny/golden.safetensors", 2e-4},
                       {"qwen2-tiny.bf16.gguf", "models/qwen2-tiny/golden.safetensors", 2e-4},
                       {"llama3-tiny.bf16.gguf", "models/llama3-tiny/golden.safetensors", 2e-4},
                       {"llama3-kq-tiny.gguf", "gguf/llama3-kq-tiny.golden.safetensors", 5e-4}};

}  // namespace

TEST_CASE("golden GGUF: logits of every prompt at every position, every ISA, both forms of MLA, in chunks") {
  using ponder::kernels::Isa;
  for (const Twin& twin : kTwins) {
    CAPTURE(twin.gguf);
    const Fixture f = load(std::string("gguf/") + twin.gguf, twin.golden, twin.tolerance);
    CHECK(f.model->load_report().warnings.empty());
    for (const Isa isa : {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16})
      for (const MlaForm form : {MlaForm::absorbed, MlaForm::expanded}) {
        if (!ponder::kernels::isa_supported(isa) || isa > test_isa()) continue;
        if (!f.model->config().is_mla() && form == MlaForm::expanded) continue;
        CAPTURE(ponder::kernels::isa_name(isa));
        for (int i = 0; f.golden.find("prompt." + std::to_string(i) + ".ids"); ++i) {
          CAPTURE(i);
          const std::string prompt = "prompt." + std::to_string(i);
          const auto ids = values<TokenId>(f, prompt + ".ids");
          constexpr std::size_t kChunk = 47;
          Pass pass(*f.model, kChunk, isa, form);
          KvCache kv = cache_for(*f.model, ids.size());
          std::vector<float> logits;
          std::size_t n_cols = 0;
          for (std::size_t first = 0; first < ids.size(); first += kChunk) {
            const Tensor part = pass.run(std::span(ids).subspan(first, std::min(kChunk, ids.size() - first)), kv);
            n_cols = part.n_cols;
            logits.insert(logits.end(), part.data, part.data + part.n_rows * part.n_cols);
          }
          const Tensor all(logits.data(), ids.size(), n_cols);
          if (f.golden.find(prompt + ".logits"))
            CHECK(worst(all, values<float>(f, prompt + ".logits"), f.tolerance) <= 1);
          if (f.golden.find(prompt + ".logits_last"))
            CHECK(worst(all.rows(ids.size() - 1, 1), values<float>(f, prompt + ".logits_last"), f.tolerance) <= 1);
        }
      }
  }
}
