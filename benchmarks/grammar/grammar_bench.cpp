// What a grammar costs per token: grammar_bench TOKENIZER_JSON [VOCAB_SIZE]. Masks are timed as a reply meets them, the first time
// in a state of the automaton and every later time, and so is their use on a row of logits.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "lib/grammar/grammar.h"
#include "lib/io/mapped_file.h"

using namespace ponder::core;

namespace {

double now_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

constexpr const char* kSchema =
    R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},)"
    R"("tags":{"type":"array","items":{"type":"string","maxLength":20}},"kind":{"enum":["person","company","place"]},)"
    R"("nested":{"type":"object","properties":{"note":{"type":"string"},"score":{"type":"number"}},"required":["note"]}},)"
    R"("required":["name","age","tags","kind","nested"]})";
constexpr const char* kReply =
    R"({"name": "Ada Lovelace", "age": 36, "tags": ["mathematics", "first programs", "Analytical"], "kind": "person",)"
    R"( "nested": {"note": "She wrote notes on Babbage's engine, longer than the paper they explain.", "score": 9.5}})";

struct Job {
  const char* name;
  GrammarKind kind;
  const char* text;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: grammar_bench TOKENIZER_JSON [VOCAB_SIZE]\n"), 2;
  const auto file = read_file(argv[1], std::size_t{64} << 20);
  if (!file.ok()) return std::fprintf(stderr, "%s\n", file.status().message().c_str()), 1;
  const auto tokenizer = Tokenizer::load({*file, ""});
  if (!tokenizer.ok()) return std::fprintf(stderr, "%s\n", tokenizer.status().message().c_str()), 1;
  const std::size_t n_ids = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : (*tokenizer)->n_ids();
  double start = now_us();
  const auto trie = grammar::TokenTrie::create(*tokenizer, n_ids);
  std::printf("%zu ids, %zu nodes, made in %.0f ms\n", n_ids, trie->nodes.size(), (now_us() - start) / 1e3);
  const auto ids = (*tokenizer)->encode(kReply, {});
  if (!ids.ok()) return std::fprintf(stderr, "%s\n", ids.status().message().c_str()), 1;
  const Job jobs[] = {{"schema", GrammarKind::json_schema, kSchema}, {"any JSON", GrammarKind::json_schema, "true"},
                      {"regex .*", GrammarKind::regex, ".*"}};
  std::printf("%-10s %10s %8s %24s %24s %12s\n", "grammar", "compile us", "tokens", "first mask us p50/max", "later mask us p50/max", "logits us p50");
  for (const Job& job : jobs) {
    start = now_us();
    const auto made = Grammar::create(job.kind, job.text, trie);
    const double compile_us = now_us() - start;
    if (!made.ok()) return std::fprintf(stderr, "%s\n", made.status().message().c_str()), 1;
    std::vector<double> first, later, use;
    std::vector<float> logits(n_ids, 1.0f);
    for (int round = 0; round < 20; ++round) {
      GrammarMatcher matcher(*made);
      for (TokenId id : *ids) {
        start = now_us();
        const auto mask = matcher.mask();
        const double mask_us = now_us() - start;
        start = now_us();
        mask->apply(logits);
        use.push_back(now_us() - start);
        start = now_us();
        if (!matcher.accept(id)) return std::fprintf(stderr, "%s: the reply is not of the grammar\n", job.name), 1;
        (round == 0 ? first : later).push_back(mask_us + now_us() - start);
      }
    }
    std::printf("%-10s %10.0f %8zu %15.1f %8.1f %15.1f %8.1f %12.1f\n", job.name, compile_us, ids->size(), percentile(first, 0.5),
                percentile(first, 1), percentile(later, 0.5), percentile(later, 1), percentile(use, 0.5));
  }
  return 0;
}
