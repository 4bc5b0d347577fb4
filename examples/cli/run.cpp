#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "examples/cli/common.h"

namespace cli {

namespace {

using nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  std::string prompt, messages, ids, system, compute;
  std::int64_t context = 0;
  int count = 1;
  bool json = false, ignore_eos = false, r1 = false;
  ponder_generate_params sampling = ponder_generate_params_default();
  std::optional<std::int64_t> think_budget;
  std::vector<std::string> stop;
  std::vector<std::string> logit_bias;
};

// Ctrl-C stops the answer that is being generated, not the program. cancel() is one atomic store: safe in a handler.
std::atomic<ponder_session*> generating{nullptr};
void on_interrupt(int) {
  if (ponder_session* session = generating.load()) ponder_session_cancel(session);
}

class InterruptScope {
 public:
  explicit InterruptScope(ponder::Session& session) {
    generating.store(session.get());
    previous_ = std::signal(SIGINT, on_interrupt);
  }
  ~InterruptScope() {
    generating.store(nullptr);
    std::signal(SIGINT, previous_);
  }

 private:
  void (*previous_)(int) = SIG_DFL;
};

// A failure whose JSON object has been printed.
struct Reported : Failure {};

const char* finish_name(ponder_finish finish) {
  switch (finish) {
    case PONDER_FINISH_STOP: return "stop";
    case PONDER_FINISH_LENGTH: return "length";
    case PONDER_FINISH_LOOP: return "loop";
    case PONDER_FINISH_CANCELLED: return "cancelled";
    default: return "error";
  }
}

// Prints thinking and answer as they come: dimmed on a terminal, under headings elsewhere.
class Printer {
 public:
  void token(const ponder::Token& t) {
    if (t.text.empty()) return;
    if (!channel_ || *channel_ != t.channel) open(t.channel);
    std::fwrite(t.text.data(), 1, t.text.size(), stdout);
    std::fflush(stdout);
  }
  void close() {
    if (channel_ && colour_ && *channel_ == ponder::Channel::thinking) std::printf("\033[0m");
    std::printf("\n");
    std::fflush(stdout);
    channel_.reset();
  }

 private:
  void open(ponder::Channel channel) {
    const bool thinking = channel == ponder::Channel::thinking;
    if (colour_)
      std::printf(thinking ? "\033[2m" : channel_ ? "\033[0m\n" : "\033[0m");
    else if (thinking)
      std::printf("[thinking]\n");
    else if (channel_)
      std::printf("[answer]");
    channel_ = channel;
  }
  bool colour_ = is_terminal(1);
  std::optional<ponder::Channel> channel_;
};

void set_options(ponder::Session& session, const Options& o, std::uint64_t seed) {
  ponder::GenerateOptions generate;
  generate.params = o.sampling;
  generate.params.seed = seed;
  if (o.think_budget) generate.params.think_budget = *o.think_budget == 0 ? PONDER_THINK_NONE : *o.think_budget;
  if (o.ignore_eos) generate.params.flags |= PONDER_GENERATE_IGNORE_EOS;
  generate.stop = o.stop;
  for (const std::string& pair : o.logit_bias) {
    const std::size_t colon = pair.find(':');
    if (colon == std::string::npos) throw Failure{"--logit-bias " + pair + ": want ID:BIAS"};
    try {
      generate.logit_bias.push_back({parse_ids(pair.substr(0, colon)).at(0), std::stof(pair.substr(colon + 1))});
    } catch (const std::exception&) {
      throw Failure{"--logit-bias " + pair + ": want ID:BIAS"};
    }
  }
  unwrap(session.set_options(generate));
}

ordered_json reply_json(ponder::Session& session, const ponder::Reply& reply, double load_ms) {
  const ponder_session_stats stats = session.stats();
  ordered_json out;
  out["thinking"] = reply.thinking;
  out["answer"] = reply.answer;
  out["ids"] = reply.ids;
  out["usage"] = {{"prompt_tokens", stats.prompt_tokens},
                  {"thinking_tokens", stats.thinking_tokens},
                  {"answer_tokens", stats.answer_tokens},
                  {"forced_tokens", stats.forced_tokens}};
  out["finish_reason"] = finish_name(reply.finish);
  if (reply.error) out["error"] = reply.error->message();
  out["timings"] = {{"load_ms", load_ms}, {"prefill_ms", stats.prefill_ms}, {"decode_ms", stats.decode_ms}};
  return out;
}

void print_statistics(ponder::Session& session, double load_ms) {
  const ponder_session_stats s = session.stats();
  const std::int64_t generated = s.thinking_tokens + s.answer_tokens;
  std::fprintf(stderr,
               "load %.0f ms | prompt %lld tokens (%lld cached), %.1f tokens/s | reply %lld tokens (%lld thinking), "
               "%.1f tokens/s\n",
               load_ms, static_cast<long long>(s.prompt_tokens), static_cast<long long>(s.reused_tokens),
               s.prefill_ms > 0 ? static_cast<double>(s.prompt_tokens - s.reused_tokens) / s.prefill_ms * 1e3 : 0.0,
               static_cast<long long>(generated), static_cast<long long>(s.thinking_tokens),
               s.decode_ms > 0 ? static_cast<double>(generated) / s.decode_ms * 1e3 : 0.0);
}

ponder::Reply stream(ponder::Session& session, bool quiet) {
  Printer printer;
  InterruptScope interrupt(session);
  ponder::Reply reply = session.generate([&](const ponder::Token& t) {
    if (!quiet) printer.token(t);
    return true;
  });
  if (!quiet) printer.close();
  return reply;
}

ordered_json starting_messages(const Options& o) {
  ordered_json messages = ordered_json::array();
  if (!o.system.empty()) messages.push_back({{"role", "system"}, {"content", o.system}});
  return messages;
}

std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::strict);
}

void chat(const Options& o, ponder::Session& session, double load_ms) {
  ordered_json messages = starting_messages(o);
  const bool prompt_shown = is_terminal(0) && is_terminal(1);
  std::string line;
  for (;;) {
    if (prompt_shown) std::printf("> "), std::fflush(stdout);
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    messages.push_back({{"role", "user"}, {"content", line}});
    try {
      unwrap(session.prompt_chat(dump(messages)));
    } catch (const std::exception& e) {
      throw Failure{e.what()};
    } catch (const Failure& e) {
      std::fprintf(stderr, "ponder: %s\n", e.message.c_str());
      messages.erase(messages.size() - 1);
      continue;
    }
    const ponder::Reply reply = stream(session, false);
    if (reply.error) std::fprintf(stderr, "ponder: %s\n", reply.error->message().c_str());
    const std::string thinking = reply.thinking.empty() ? "" : reply.thinking + "</think>";
    messages.push_back({{"role", "assistant"}, {"content", thinking + reply.answer}});
  }
  if (prompt_shown) std::printf("\n");
  print_statistics(session, load_ms);
}

void run(const Options& o) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  ModelOptions model_options = o.model;
  model_options.quiet = o.json;
  const ponder::Model model = load_model(model_options);
  const double load_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  ponder::Session session = unwrap(model.session({.context_length = o.context, .compute = parse_compute(o.compute)}));
  set_options(session, o, o.sampling.seed);

  if (o.prompt.empty() && o.messages.empty() && o.ids.empty()) {
    if (o.json) throw Failure{"--json wants a prompt: -p, --messages or --ids"};
    return chat(o, session, load_ms);
  }
  {
    InterruptScope interrupt(session);
    if (!o.ids.empty()) {
      unwrap(session.prompt_ids(parse_ids(o.ids)));
    } else if (!o.messages.empty()) {
      unwrap(session.prompt_chat(read_text_file(o.messages)));
    } else {
      ordered_json messages = starting_messages(o);
      messages.push_back({{"role", "user"}, {"content", o.prompt}});
      try {
        unwrap(session.prompt_chat(dump(messages)));
      } catch (const nlohmann::json::exception&) {
        throw Failure{"the prompt is not valid UTF-8"};
      }
    }
  }

  std::vector<ponder::Session> forks;  // one prefill serves all completions
  for (int i = 1; i < o.count; ++i) {
    forks.push_back(unwrap(session.fork()));
    set_options(forks.back(), o, o.sampling.seed + static_cast<std::uint64_t>(i));
  }
  ordered_json out;
  std::optional<ponder::Error> error;
  for (int i = 0; i < o.count; ++i) {
    ponder::Session& s = i == 0 ? session : forks[static_cast<std::size_t>(i) - 1];
    const ponder::Reply reply = stream(s, o.json);
    if (reply.error && !error) error = reply.error;
    if (o.json) {
      ordered_json one = reply_json(s, reply, load_ms);
      if (i == 0) out = one;
      if (o.count > 1) out["completions"].push_back(std::move(one));
    } else {
      print_statistics(s, load_ms);
    }
    if (reply.finish == PONDER_FINISH_CANCELLED) break;
  }
  if (o.json) {
    std::printf("%s\n", out.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
    if (error) throw Reported{{error->message()}};
  }
  if (error) throw Failure{error->message()};
}

}  // namespace

void add_run(CLI::App& app) {
  auto o = std::make_shared<Options>();
  ponder_generate_params& s = o->sampling;
  CLI::App* command = app.add_subcommand("run", "Answer a prompt, or chat when there is none");
  add_model_options(*command, o->model);
  auto* prompt = command->add_option("-p,--prompt", o->prompt, "User message");
  auto* messages = command->add_option("--messages", o->messages,
                                       "JSON file: a message array, or {messages, tools, add_generation_prompt}; - is standard input");
  auto* ids = command->add_option("--ids", o->ids, "Raw token ids, separated by commas");
  prompt->excludes(messages)->excludes(ids);
  messages->excludes(ids);
  command->add_option("--system", o->system, "System message");
  command->add_option("-c,--context", o->context, "Context length in tokens (default: the model's, at most 4096)");
  command->add_option("--compute", o->compute, "exact or fast")->check(CLI::IsMember({"exact", "fast"}));
  command->add_option("-n,--max-new-tokens", s.max_new_tokens, "Longest reply in tokens");
  command->add_option("--think-budget", o->think_budget, "Most thinking tokens; then the answer begins")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--count", o->count, "Completions of one prompt")->check(CLI::Range(1, 1024));
  command->add_option("--stop", o->stop, "Stop string (may be repeated)")->expected(1)->take_all();
  command->add_flag("--ignore-eos", o->ignore_eos, "Go on behind the end token");
  command->add_flag("--json", o->json, "Print one JSON object and nothing else");
  command->add_flag("--r1", o->r1, "R1's published sampling: temperature 0.6, top-p 0.95");
  command->add_option("--seed", s.seed, "Random seed");
  auto* temperature = command->add_option("--temperature,--temp", s.temperature, "0: greedy");
  command->add_option("--top-k", s.top_k, "Keep the k likeliest tokens");
  auto* top_p = command->add_option("--top-p", s.top_p, "Nucleus sampling");
  command->add_option("--min-p", s.min_p, "Least share of the likeliest token's probability");
  command->add_option("--typical", s.typical_p, "Locally typical sampling");
  command->add_option("--top-n-sigma", s.top_n_sigma, "Keep logits within n standard deviations of the best");
  command->add_option("--xtc-probability", s.xtc_probability, "Exclude top choices: chance per token");
  command->add_option("--xtc-threshold", s.xtc_threshold, "Exclude top choices: least probability");
  command->add_option("--mirostat", s.mirostat, "0 or 2")->check(CLI::IsMember({0, 2}));
  command->add_option("--mirostat-tau", s.mirostat_tau, "Target surprise");
  command->add_option("--mirostat-eta", s.mirostat_eta, "Learning rate");
  command->add_option("--repeat-penalty,--repetition-penalty", s.repetition_penalty, "1: off");
  command->add_option("--presence-penalty", s.presence_penalty, "0: off");
  command->add_option("--frequency-penalty", s.frequency_penalty, "0: off");
  command->add_option("--repeat-last-n", s.penalty_last_n, "Tokens that penalties look back at; -1: all");
  command->add_option("--dry-multiplier", s.dry_multiplier, "0: off");
  command->add_option("--dry-base", s.dry_base, "Growth per repeated token");
  command->add_option("--dry-allowed-length", s.dry_allowed_length, "Longest repetition without penalty");
  command->add_option("--dry-last-n", s.dry_last_n, "Tokens that DRY looks back at; -1: all");
  command->add_option("--logit-bias", o->logit_bias, "ID:BIAS (may be repeated)")->expected(1)->take_all();
  command->callback([o, temperature, top_p] {
    if (o->r1) {
      if (!temperature->count()) o->sampling.temperature = 0.6f;
      if (!top_p->count()) o->sampling.top_p = 0.95f;
    }
    if (!o->json) return run(*o);
    try {
      run(*o);
    } catch (const Reported&) {
      throw;
    } catch (const Failure& e) {
      std::printf("%s\n", ordered_json{{"finish_reason", "error"}, {"error", e.message}}
                              .dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
      throw;
    }
  });
}

}  // namespace cli
