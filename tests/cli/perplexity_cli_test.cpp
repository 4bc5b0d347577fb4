// perplexity and compare, against what `ponder logits` gives for the same tokens.
#include <cmath>

#include "tests/cli/program.h"

using namespace ponder::test;
using nlohmann::json;

namespace {

const std::string kText =
    "What is 12+34? 2+4=6, 1+3=4, 12+34=46. What is 7+5? 7+5=12. What is 99+1? 9+1=10, 9+0+1=10, 99+1=100. What is 58-19?";

// Mean of -log p of the tokens behind rows [first, n - 1) of a window.
double nll_of(const TensorRead& logits, const std::vector<std::int32_t>& ids, std::size_t first) {
  const auto n_vocab = static_cast<std::size_t>(logits.shape.back());
  double sum = 0;
  for (std::size_t row = first; row + 1 < ids.size(); ++row) {
    double total = 0;
    for (std::size_t i = 0; i < n_vocab; ++i) total += std::exp(static_cast<double>(logits.f32[row * n_vocab + i]));
    sum += std::log(total) - logits.f32[row * n_vocab + static_cast<std::size_t>(ids[row + 1])];
  }
  return sum / static_cast<double>(ids.size() - 1 - first);
}

}  // namespace

TEST_CASE("perplexity: windows of the text, each with a BOS in front, their second halves scored") {
  const Folder folder;
  const std::string text = folder.write("text", kText);
  const auto tokens = run_program({"tokenize", "--tokenizer", kTinyR1, "--jsonl", "--bos"}, json{{"text", kText}}.dump() + "\n").json();
  const std::vector<std::int32_t> ids = tokens["ids"];
  constexpr std::size_t kWindow = 32;
  const std::size_t n_windows = ids.size() / kWindow;
  REQUIRE(n_windows >= 2);
  double sum = 0;
  for (std::size_t w = 0; w < n_windows; ++w) {
    std::vector<std::int32_t> window(ids.begin() + static_cast<std::ptrdiff_t>(w * kWindow),
                                     ids.begin() + static_cast<std::ptrdiff_t>((w + 1) * kWindow));
    window[0] = ids[0];
    REQUIRE(run_program({"logits", "--model", kTinyR1, "--ids", comma_separated(window), "--output", folder.file("o")}).exit_code == 0);
    sum += nll_of(read_tensors(folder.file("o")).at("logits"), window, kWindow / 2);
  }
  const auto out = run_program({"perplexity", "--model", kTinyR1, "--text", text, "-c", "32", "--compute", "exact", "--json"}).json();
  CHECK(out["windows"] == n_windows);
  CHECK(out["tokens"] == n_windows * (kWindow / 2 - 1));
  CHECK(out["perplexity"].get<double>() == doctest::Approx(std::exp(sum / static_cast<double>(n_windows))).epsilon(1e-4));
  CHECK(run_program({"perplexity", "--model", kTinyR1, "--text", text, "-c", "32", "--chunks", "1", "--json"}).json()["windows"] == 1);
  const Outcome shown = run_program({"perplexity", "--model", kTinyR1, "--text", text});
  CHECK(shown.out.find("perplexity ") == 0);
  CHECK(shown.err.empty());
}

TEST_CASE("compare: nothing between a model and itself, more the coarser the weights") {
  const Folder folder;
  const std::string text = folder.write("text", kText);
  const auto compare = [&](const std::string& model) {
    return run_program({"compare", "--model", model, "--reference", kTinyR1, "--text", text, "-c", "32", "--compute", "exact", "--json"}).json();
  };
  const auto same = compare(kTinyR1);
  CHECK(same["kl_divergence"]["max"] == 0);
  CHECK(same["top1_agreement"] == 1);
  CHECK(same["perplexity"] == same["reference_perplexity"]);
  double last = 0;
  for (const char* type : {"q8_0", "q5_0", "q4_0"}) {
    CAPTURE(type);
    REQUIRE(run_program({"quantize", "--model", kTinyR1, "--type", type, "--output", folder.file("q.gguf")}).exit_code == 0);
    const auto coarse = compare(folder.file("q.gguf"));
    CHECK(coarse["kl_divergence"]["mean"] > last);
    CHECK(coarse["kl_divergence"]["median"] <= coarse["kl_divergence"]["p99"]);
    last = coarse["kl_divergence"]["mean"];
  }
}

TEST_CASE("perplexity and compare: what cannot be judged is an error that says why") {
  const Folder folder;
  const std::string text = folder.write("text", kText);
  const auto error = [&](std::vector<std::string> arguments) {
    const Outcome outcome = run_program(arguments);
    CHECK(outcome.exit_code == 1);
    return outcome.err;
  };
  CHECK(error({"perplexity", "--model", kTinyR1, "--text", folder.write("short", "a")}).find("tokens, want 3") != std::string::npos);
  CHECK(error({"perplexity", "--model", kTinyR1, "--text", folder.file("none")}).find("cannot be opened") != std::string::npos);
  CHECK(error({"perplexity", "--model", kTinyR1, "--text", text, "-c", "1000000"}).find("--context 1000000") != std::string::npos);
  CHECK(error({"perplexity", "--model", kModels + "v3-tiny", "--text", text}).find("tokenizer") != std::string::npos);
  CHECK(error({"compare", "--model", kTinyR1, "--reference", kModels + "qwen2-tiny", "--text", text}).find("tokenizer") != std::string::npos);
}
