// How well a model predicts a text, alone and beside another one.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"
#include "examples/cli/progress.h"

namespace cli {

namespace {

struct Options {
  ModelOptions model;
  std::string reference, text, compute;
  ponder_kv_type kv_type = PONDER_KV_DEFAULT;
  int window = 512;
  int max_windows = 0;
  bool json = false;
};

// The text in windows of the same length, as llama.cpp's perplexity cuts it: each starts with the BOS where the tokenizer adds
// one (in the place of its first token), what is left over at the end is not used, and of each window the tokens of the second
// half are scored, which have at least half a window before them. A text shorter than a window is one.
struct Windows {
  std::vector<std::vector<std::int32_t>> ids;
  // Rows of logits from here to the last but one of a window are scored against the token behind them.
  static std::size_t first_row(std::size_t n) { return n / 2; }
};

Windows cut(const ponder::Tokenizer& tokenizer, const std::string& text, const Options& o) {
  const ponder_tokenizer_info info = tokenizer.info();
  std::vector<std::int32_t> ids = unwrap(tokenizer.encode(text, info.adds_bos ? PONDER_ENCODE_BOS : 0));
  const auto window = static_cast<std::size_t>(o.window);
  if (ids.size() < 3) throw Failure{o.text + ": " + std::to_string(ids.size()) + " tokens, want 3 at the least"};
  Windows windows;
  if (ids.size() < window) {
    windows.ids.push_back(std::move(ids));
    return windows;
  }
  for (std::size_t start = 0; start + window <= ids.size(); start += window) {
    if (o.max_windows > 0 && windows.ids.size() == static_cast<std::size_t>(o.max_windows)) break;
    windows.ids.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(start), ids.begin() + static_cast<std::ptrdiff_t>(start + window));
    if (info.adds_bos && info.bos_token_id >= 0) windows.ids.back()[0] = info.bos_token_id;
  }
  return windows;
}

// log sum exp of a row, in double precision.
double log_normaliser(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

struct Mean {
  double sum = 0, squares = 0;
  std::size_t n = 0;
  void add(double value) { sum += value, squares += value * value, ++n; }
  double value() const { return n ? sum / static_cast<double>(n) : 0; }
  double standard_error() const {
    if (n < 2) return 0;
    const double count = static_cast<double>(n), mean = value();
    return std::sqrt(std::max(0.0, squares / count - mean * mean) / (count - 1));
  }
};

class Scorer {
 public:
  Scorer(const ModelOptions& options, const Options& o) : model_(load_model(options)), tokenizer_(unwrap(model_.tokenizer())) {
    const ponder_model_info info = model_.info();
    if (o.window > info.max_position_embeddings)
      throw Failure{"--context " + std::to_string(o.window) + ": the model has " + std::to_string(info.max_position_embeddings)};
    vocab_size_ = static_cast<std::size_t>(info.vocab_size);
    session_.emplace(unwrap(model_.session({.context_length = o.window, .compute = parse_compute(o.compute), .kv_type = o.kv_type})));
  }
  const ponder::Tokenizer& tokenizer() const { return tokenizer_; }
  std::size_t vocab_size() const { return vocab_size_; }

  // Logits of all positions, [ids, vocab_size], valid until the next call.
  std::span<const float> logits(const std::vector<std::int32_t>& ids) {
    unwrap(session_->evaluate(ids, {}, 0, [&](const ponder::Session::TensorView& tensor) {
      if (tensor.name != "logits") return true;
      const float* data = static_cast<const float*>(tensor.data);
      logits_.assign(data, data + ids.size() * vocab_size_);
      return true;
    }));
    return logits_;
  }

 private:
  ponder::Model model_;
  ponder::Tokenizer tokenizer_;
  std::optional<ponder::Session> session_;
  std::size_t vocab_size_ = 0;
  std::vector<float> logits_;
};

double perplexity_of(const Mean& nll) { return std::exp(nll.value()); }
double error_of(const Mean& nll) { return perplexity_of(nll) * nll.standard_error(); }

void run_perplexity(const Options& o) {
  Scorer scorer(o.model, o);
  const Windows windows = cut(scorer.tokenizer(), read_text_file(o.text), o);
  Mean nll;
  {
    Progress progress("perplexity", !o.json);
    for (std::size_t w = 0; w < windows.ids.size(); ++w) {
      const std::vector<std::int32_t>& ids = windows.ids[w];
      const std::span<const float> logits = scorer.logits(ids);
      for (std::size_t row = Windows::first_row(ids.size()); row + 1 < ids.size(); ++row) {
        const auto values = logits.subspan(row * scorer.vocab_size(), scorer.vocab_size());
        nll.add(log_normaliser(values) - values[static_cast<std::size_t>(ids[row + 1])]);
      }
      progress.show(static_cast<double>(w + 1) / static_cast<double>(windows.ids.size()), std::to_string(perplexity_of(nll)));
    }
  }
  if (o.json) {
    const nlohmann::ordered_json out{{"perplexity", perplexity_of(nll)}, {"standard_error", error_of(nll)}, {"tokens", nll.n},
                                     {"windows", windows.ids.size()}, {"context", windows.ids[0].size()}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("perplexity %.4f +/- %.4f over %zu tokens in %zu windows of %zu\n", perplexity_of(nll), error_of(nll), nll.n,
              windows.ids.size(), windows.ids[0].size());
}

double quantile(std::vector<double>& values, double q) {
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

void run_compare(const Options& o) {
  ModelOptions reference_options = o.model;
  reference_options.model = o.reference;
  reference_options.weight_type.clear();
  Scorer model(o.model, o), reference(reference_options, o);
  if (model.vocab_size() != reference.vocab_size())
    throw Failure{"the models have vocabularies of " + std::to_string(model.vocab_size()) + " and " +
                  std::to_string(reference.vocab_size()) + " ids: they cannot be compared token by token"};
  const std::string text = read_text_file(o.text);
  const Windows windows = cut(reference.tokenizer(), text, o);
  if (windows.ids != cut(model.tokenizer(), text, o).ids) throw Failure{"the tokenizers of the models give different ids for the text"};

  Mean divergence, nll, reference_nll;
  std::vector<double> divergences;
  std::size_t n_same = 0;
  {
    Progress progress("compare", !o.json);
    for (std::size_t w = 0; w < windows.ids.size(); ++w) {
      const std::vector<std::int32_t>& ids = windows.ids[w];
      const std::span<const float> q = model.logits(ids), p = reference.logits(ids);
      for (std::size_t row = Windows::first_row(ids.size()); row + 1 < ids.size(); ++row) {
        const auto q_row = q.subspan(row * model.vocab_size(), model.vocab_size());
        const auto p_row = p.subspan(row * model.vocab_size(), model.vocab_size());
        const double q_norm = log_normaliser(q_row), p_norm = log_normaliser(p_row);
        double kl = 0;  // of the model from the reference: sum p log(p / q), in nats
        for (std::size_t i = 0; i < p_row.size(); ++i) {
          const double log_p = p_row[i] - p_norm;
          kl += std::exp(log_p) * (log_p - (q_row[i] - q_norm));
        }
        divergence.add(std::max(kl, 0.0));
        divergences.push_back(std::max(kl, 0.0));
        const auto next = static_cast<std::size_t>(ids[row + 1]);
        nll.add(q_norm - q_row[next]);
        reference_nll.add(p_norm - p_row[next]);
        const auto best = [](std::span<const float> values) { return std::max_element(values.begin(), values.end()) - values.begin(); };
        n_same += best(q_row) == best(p_row);
      }
      progress.show(static_cast<double>(w + 1) / static_cast<double>(windows.ids.size()), "KL " + std::to_string(divergence.value()));
    }
  }
  const double agreement = static_cast<double>(n_same) / static_cast<double>(divergences.size());
  const double agreement_error = std::sqrt(agreement * (1 - agreement) / static_cast<double>(divergences.size()));
  const double median = quantile(divergences, 0.5), high = quantile(divergences, 0.99), largest = quantile(divergences, 1);
  if (o.json) {
    const nlohmann::ordered_json out{
        {"tokens", divergence.n},
        {"kl_divergence", {{"mean", divergence.value()}, {"standard_error", divergence.standard_error()}, {"median", median},
                           {"p99", high}, {"max", largest}}},
        {"top1_agreement", agreement},
        {"perplexity", perplexity_of(nll)},
        {"reference_perplexity", perplexity_of(reference_nll)}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("over %zu tokens in %zu windows of %zu\n", divergence.n, windows.ids.size(), windows.ids[0].size());
  std::printf("KL divergence     mean %.6f +/- %.6f, median %.6f, 99 %% %.6f, largest %.6f\n", divergence.value(),
              divergence.standard_error(), median, high, largest);
  std::printf("top-1 agreement   %.2f %% +/- %.2f\n", 100 * agreement, 100 * agreement_error);
  std::printf("perplexity        %.4f, of the reference %.4f\n", perplexity_of(nll), perplexity_of(reference_nll));
}

void add_options(CLI::App& command, Options& o) {
  add_model_options(command, o.model);
  command.add_option("-f,--text,--file", o.text, "File of text; - is standard input")->required();
  command.add_option("-c,--context", o.window, "Tokens of a window, of which the second half is scored")->check(CLI::Range(4, 1 << 20));
  command.add_option("--chunks", o.max_windows, "At most so many windows (default: all)")->check(CLI::Range(0, 1 << 30));
  command.add_option("--compute", o.compute, "exact or fast")->check(CLI::IsMember({"exact", "fast"}));
  add_kv_option(command, o.kv_type);
  command.add_flag("--json", o.json, "One JSON object");
}

}  // namespace

void add_perplexity(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("perplexity", "How well a model predicts a text, measured as llama.cpp does");
  add_options(*command, *o);
  command->callback([o] { run_perplexity(*o); });
}

void add_compare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("compare", "What a model loses beside a reference: KL divergence and top-1 agreement per token");
  add_options(*command, *o);
  command->add_option("-r,--reference", o->reference, "The model to compare with")->required();
  command->callback([o] { run_compare(*o); });
}

}  // namespace cli
