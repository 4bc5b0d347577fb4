#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "examples/cli/common.h"

namespace cli {

namespace {

using nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  std::optional<std::string> prompt, messages, ids;
  std::string system, compute;
  ponder_kv_type kv_type = PONDER_KV_DEFAULT;
  std::vector<std::string> kwargs;
  std::int64_t context = 0;
  int count = 1;
  bool json = false, ignore_eos = false, r1 = false, context_shift = false;
  ponder_generate_params sampling = ponder_generate_params_default();
  // Not given: what the checkpoint's generation_config.json says; token ids are continued greedily.
  std::optional<float> temperature, top_p;
  std::optional<std::int32_t> top_k;
  std::optional<std::int64_t> max_new_tokens;
  std::int64_t think_budget = -1;
  std::string effort, early_exit;
  std::optional<std::string> probe_text;
  int votes = 0;
  ponder::ReasoningOptions reasoning;
  bool no_loop_detection = false, reasons = false;  // reasons: an option of the controller was given
  std::vector<std::string> stop;
  std::vector<std::string> logit_bias;
  std::vector<std::string> adapters;  // FOLDER or FOLDER:SCALE
  std::optional<std::string> grammar, regex, json_schema;
  std::string prompt_cache;
  std::int64_t prompt_cache_mib = 0;
  int prompt_cache_min_tokens = 0;
};

// "FOLDER:0.5"; without a number behind the last colon all of it is the folder, and the scale 1.
void set_adapters(const ponder::Model& model, ponder::Session& session, const std::vector<std::string>& given) {
  std::vector<ponder::AdapterUse> uses;
  for (const std::string& text : given) {
    std::string folder = text;
    float scale = 1;
    if (const std::size_t colon = text.rfind(':'); colon != text.npos) {
      const char* const end = text.data() + text.size();
      const auto [rest, bad] = std::from_chars(text.data() + colon + 1, end, scale);
      if (bad == std::errc() && rest == end) folder.resize(colon);
      else scale = 1;
    }
    uses.push_back({unwrap(model.adapter(folder)), scale});
  }
  unwrap(session.set_adapters(uses));
}

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
      std::printf(thinking ? "\033[2m" : channel_ ? "\033[0m\n\n" : "\033[0m");
    else if (thinking)
      std::printf("[thinking]\n");
    else if (channel_)
      std::printf("\n[answer]\n");
    channel_ = channel;
  }
  bool colour_ = is_terminal(1);
  std::optional<ponder::Channel> channel_;
};

ponder_generate_params sampling_of(const ponder::Model& model, const Options& o) {
  ponder_generate_params p = o.sampling;
  ponder_generate_params defaults = ponder_generate_params_default();
  if (o.r1)
    defaults = ponder_generate_params_r1();
  else if (!o.ids)
    defaults = model.generate_options().params;
  p.temperature = o.temperature.value_or(defaults.temperature);
  p.top_p = o.top_p.value_or(defaults.top_p);
  p.top_k = o.top_k.value_or(defaults.top_k);
  p.max_new_tokens = o.max_new_tokens.value_or(defaults.max_new_tokens);
  if (o.think_budget >= 0) p.think_budget = o.think_budget == 0 ? PONDER_THINK_NONE : o.think_budget;
  return p;
}

void set_options(ponder::Session& session, const Options& o, ponder_generate_params params, std::uint64_t seed) {
  ponder::GenerateOptions generate;
  generate.params = params;
  generate.params.seed = seed;
  if (o.ignore_eos) generate.params.flags |= PONDER_GENERATE_IGNORE_EOS;
  if (o.context_shift) generate.params.flags |= PONDER_GENERATE_CONTEXT_SHIFT;
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
  if (!o.reasons) return;
  ponder::ReasoningOptions reasoning = o.reasoning;
  if (o.no_loop_detection) reasoning.params.flags |= PONDER_REASONING_NO_LOOP_DETECTION;
  const std::map<std::string, ponder_effort> efforts = {{"", PONDER_EFFORT_DEFAULT}, {"none", PONDER_EFFORT_NONE},
      {"low", PONDER_EFFORT_LOW}, {"medium", PONDER_EFFORT_MEDIUM}, {"high", PONDER_EFFORT_HIGH}};
  reasoning.params.effort = efforts.at(o.effort);
  const std::map<std::string, ponder_early_exit> exits = {{"", PONDER_EARLY_EXIT_DEFAULT}, {"off", PONDER_EARLY_EXIT_OFF},
      {"probe", PONDER_EARLY_EXIT_PROBE}, {"confidence", PONDER_EARLY_EXIT_CONFIDENCE}};
  reasoning.params.early_exit = exits.at(o.early_exit);
  if (o.probe_text) reasoning.params.probe_text = o.probe_text->c_str();
  unwrap(session.set_reasoning(reasoning));
}

const char* think_end_name(ponder_think_end end) {
  switch (end) {
    case PONDER_THINK_END_MODEL: return "model";
    case PONDER_THINK_END_BUDGET: return "budget";
    case PONDER_THINK_END_GRACE_CUT: return "grace_cut";
    case PONDER_THINK_END_EARLY_EXIT: return "early_exit";
    case PONDER_THINK_END_LOOP: return "loop";
    case PONDER_THINK_END_USER: return "user";
    default: return "none";
  }
}

void set_grammar(ponder::Session& session, const Options& o) {
  if (o.grammar) unwrap(session.set_grammar(PONDER_GRAMMAR_GBNF, read_text_file(*o.grammar)));
  if (o.regex) unwrap(session.set_grammar(PONDER_GRAMMAR_REGEX, *o.regex));
  if (!o.json_schema) return;
  // A schema begins like this; a file name hardly ever does.
  const bool is_text = o.json_schema->find('{') != std::string::npos || *o.json_schema == "true" || *o.json_schema == "false";
  unwrap(session.set_grammar(PONDER_GRAMMAR_JSON_SCHEMA, is_text ? *o.json_schema : read_text_file(*o.json_schema)));
}

ordered_json reply_json(const ponder_session_stats& stats, const ponder::Reply& reply, double load_ms) {
  ordered_json out;
  out["thinking"] = reply.thinking;
  out["answer"] = reply.answer;
  out["ids"] = reply.ids;
  out["usage"] = {{"prompt_tokens", stats.prompt_tokens},
                  {"thinking_tokens", stats.thinking_tokens},
                  {"answer_tokens", stats.answer_tokens},
                  {"forced_tokens", stats.forced_tokens}};
  if (stats.probe_tokens > 0) out["usage"]["probe_tokens"] = stats.probe_tokens;
  out["finish_reason"] = finish_name(reply.finish);
  out["think_end"] = think_end_name(stats.think_end);
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

void print_json(const ordered_json& object) {
  std::printf("%s\n", object.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
}

ponder::Result<ponder::Done> prompt(const Options& o, ponder::Session& session) {
  InterruptScope interrupt(session);
  if (o.ids) return session.prompt_ids(parse_ids(*o.ids));
  const std::string kwargs = parse_kwargs(o.kwargs);
  if (o.messages) return session.prompt_chat(read_text_file(*o.messages), kwargs);
  ordered_json messages = starting_messages(o);
  messages.push_back({{"role", "user"}, {"content", *o.prompt}});
  try {
    return session.prompt_chat(dump(messages), kwargs);
  } catch (const nlohmann::json::exception&) {
    throw Failure{"the prompt is not valid UTF-8"};
  }
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
      InterruptScope interrupt(session);
      unwrap(session.prompt_chat(dump(messages), parse_kwargs(o.kwargs)));
    } catch (const nlohmann::json::exception&) {
      std::fprintf(stderr, "ponder: that line is not valid UTF-8\n");
      messages.erase(messages.size() - 1);
      continue;
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

// The winning reply, and who voted for what.
void vote(const Options& o, ponder::Session& session, double load_ms) {
  ponder::Result<std::string> voted = [&] {
    InterruptScope interrupt(session);
    return session.vote({.n = o.votes});
  }();
  ordered_json votes = ordered_json::parse(unwrap(std::move(voted)));
  const ordered_json winner = votes["samples"][votes["best"].get<std::size_t>()];
  ponder::Reply reply;
  reply.thinking = winner["thinking"].get<std::string>();
  reply.answer = winner["answer"].get<std::string>();
  const ponder_session_stats stats = session.stats();
  const std::vector<std::int32_t> all = unwrap(session.tokens());
  reply.ids.assign(all.begin() + static_cast<std::ptrdiff_t>(stats.prompt_tokens), all.end());
  reply.finish = session.finish_reason();
  if (o.json) {
    ordered_json out = reply_json(stats, reply, load_ms);
    out["vote"] = std::move(votes);
    return print_json(out);
  }
  Printer printer;
  printer.token({-1, ponder::Channel::thinking, false, reply.thinking, 0, {}});
  printer.token({-1, ponder::Channel::answer, false, reply.answer, 0, {}});
  printer.close();
  for (const ordered_json& group : votes["groups"])
    std::fprintf(stderr, "%s: %d of %zu votes\n", group["answer"].get<std::string>().c_str(), group["n"].get<int>(),
                 votes["samples"].size());
}

void run(const Options& o) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  ModelOptions model_options = o.model;
  model_options.quiet = o.json;
  const ponder::Model model = load_model(model_options);
  const double load_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  ponder::Session session = unwrap(model.session({.context_length = o.context,
                                                  .compute = parse_compute(o.compute),
                                                  .kv_type = o.kv_type,
                                                  .prompt_cache = o.prompt_cache,
                                                  .prompt_cache_bytes = o.prompt_cache_mib << 20,
                                                  .prompt_cache_min_tokens = o.prompt_cache_min_tokens}));
  set_adapters(model, session, o.adapters);
  const ponder_generate_params params = sampling_of(model, o);
  set_options(session, o, params, params.seed);
  set_grammar(session, o);

  if (!o.prompt && !o.messages && !o.ids) {
    if (o.votes > 0) throw Failure{"--vote wants a prompt: -p, --messages or --ids"};
    if (o.json) throw Failure{"--json wants a prompt: -p, --messages or --ids"};
    return chat(o, session, load_ms);
  }
  if (ponder::Result<ponder::Done> prompted = prompt(o, session); !prompted) {
    if (prompted.error().code() != PONDER_E_CANCELLED) throw Failure{prompted.error().message()};
    ponder::Reply nothing;
    nothing.finish = PONDER_FINISH_CANCELLED;
    if (o.json) print_json(reply_json(session.stats(), nothing, load_ms));
    return;
  }

  if (o.votes > 0) return vote(o, session, load_ms);

  std::vector<ponder::Session> forks;  // one prefill serves all completions
  for (int i = 1; i < o.count; ++i) {
    forks.push_back(unwrap(session.fork()));
    set_options(forks.back(), o, params, params.seed + static_cast<std::uint64_t>(i));
  }
  ordered_json out;
  std::optional<ponder::Error> error;
  for (int i = 0; i < o.count; ++i) {
    ponder::Session& s = i == 0 ? session : forks[static_cast<std::size_t>(i) - 1];
    const ponder::Reply reply = stream(s, o.json);
    if (reply.error && !error) error = reply.error;
    if (o.json) {
      ordered_json one = reply_json(s.stats(), reply, load_ms);
      if (i == 0) out = one;
      if (o.count > 1) out["completions"].push_back(std::move(one));
    } else {
      print_statistics(s, load_ms);
    }
    if (reply.finish == PONDER_FINISH_CANCELLED) break;
  }
  if (o.json) {
    print_json(out);
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
  add_kv_option(*command, o->kv_type);
  command->add_option("--adapter", o->adapters, "LoRA adapter (a folder as PEFT saves it), FOLDER or FOLDER:SCALE; may be repeated")
      ->expected(1)
      ->take_all();
  command->add_option("--prompt-cache", o->prompt_cache, "Folder of computed prompts, for this and later runs");
  command->add_option("--prompt-cache-mib", o->prompt_cache_mib, "Most MiB of files in it (default 4096)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40));
  command->add_option("--prompt-cache-min-tokens", o->prompt_cache_min_tokens, "Tokens computed for a prompt to be kept (default 256)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("-n,--max-new-tokens", o->max_new_tokens, "Longest reply in tokens; 0: until the context is full")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--think-budget", o->think_budget, "Most thinking tokens, then the answer begins; -1: no limit")
      ->check(CLI::Range(std::int64_t{-1}, INT64_MAX));
  std::vector<CLI::Option*> reasoning = {
      command->add_option("--effort", o->effort, "none, low (512 thinking tokens), medium (4096) or high. This and the following "
                          "ones turn the controller of thinking on: grace, answer reserve, loop detection")
          ->check(CLI::IsMember({"none", "low", "medium", "high"})),
      command->add_option("--think-grace", o->reasoning.params.grace,
                          "Thinking tokens beyond a budget to the end of a line (default 32); -1: none")
          ->check(CLI::Range(-1, INT32_MAX)),
      command->add_option("--think-block-budget", o->reasoning.params.block_budget, "Most thinking tokens of each block; -1: no limit")
          ->check(CLI::Range(std::int64_t{-1}, INT64_MAX)),
      command->add_option("--think-min", o->reasoning.params.min_tokens, "Fewer thinking tokens: </think> is replaced by --wait-text")
          ->check(CLI::NonNegativeNumber),
      command->add_option("--think-waits", o->reasoning.params.max_waits, "Times that </think> is replaced in any case")
          ->check(CLI::NonNegativeNumber),
      command->add_option("--wait-text", o->reasoning.wait_text, "What replaces it (default \"Wait\")"),
      command->add_option("--think-message", o->reasoning.message, "Line that is forced before a block is closed"),
      command->add_option("--answer-reserve", o->reasoning.params.answer_reserve,
                          "Tokens of -n or the context that are left for the answer (default a quarter, at most 256); -1: none")
          ->check(CLI::Range(std::int64_t{-1}, INT64_MAX)),
      command->add_option("--early-exit", o->early_exit, "probe: thinking ends when the answer, looked at on trial, stays the same; "
                          "confidence: when it is sure; off. By default on with --effort low and medium")
          ->check(CLI::IsMember({"off", "probe", "confidence"})),
      command->add_option("--probe-every", o->reasoning.params.probe_every, "Thinking tokens between two looks (default 64)")
          ->check(CLI::PositiveNumber),
      command->add_option("--probe-agree", o->reasoning.params.probe_agree, "Equal answers that end it (default 3)")
          ->check(CLI::PositiveNumber),
      command->add_option("--probe-confidence", o->reasoning.params.confidence, "Probability that ends it (default 0.95)")
          ->check(CLI::Range(0.0, 1.0)),
      command->add_option("--probe-text", o->probe_text, "What closes the thinking on trial; ends in \\boxed{"),
      command->add_flag("--no-loop-detection", o->no_loop_detection, "Let a reply repeat itself")};
  command->add_option("--kwarg", o->kwargs, "NAME=VALUE, a further template variable; VALUE is JSON, else text");
  command->add_option("--count", o->count, "Completions of one prompt")->check(CLI::Range(1, 1024));
  command->add_option("--vote", o->votes, "Up to so many replies, computed together; the answer (in its box) that most of them "
                                          "give is taken")
      ->check(CLI::Range(1, 1024));
  command->add_option("--stop", o->stop, "Stop string (may be repeated)")->expected(1)->take_all();
  auto* grammar = command->add_option("--grammar", o->grammar, "GBNF file that the answer stays within; - is standard input");
  auto* regex = command->add_option("--regex", o->regex, "Regular expression that the whole answer matches");
  auto* schema = command->add_option("--json-schema", o->json_schema, "JSON Schema of the answer: a file, or the text itself");
  grammar->excludes(regex)->excludes(schema);
  regex->excludes(schema);
  command->add_flag("--ignore-eos", o->ignore_eos, "Go on behind the end token");
  command->add_flag("--json", o->json, "Print one JSON object and nothing else");
  command->add_flag("--r1", o->r1, "R1's published sampling: temperature 0.6, top-p 0.95");
  command->add_option("--seed", s.seed, "Random seed");
  command->add_option("--temperature,--temp", o->temperature,
                      "0: greedy. This, --top-p, --top-k and -n default to the checkpoint's generation_config.json");
  command->add_option("--top-k", o->top_k, "Keep the k likeliest tokens");
  command->add_option("--top-p", o->top_p, "Nucleus sampling")->check(CLI::Range(0.0, 1.0));
  command->add_option("--min-p", s.min_p, "Least share of the likeliest token's probability")
      ->check(CLI::Range(0.0, 1.0));
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
  command->add_flag("--context-shift", o->context_shift, "When the context is full, forget its older half and go on");
  command->callback([o, reasoning] {
    for (const CLI::Option* option : reasoning) o->reasons |= option->count() > 0;
    if (!o->json) return run(*o);
    try {
      run(*o);
    } catch (const Reported&) {
      throw;
    } catch (const Failure& e) {
      ponder::Reply nothing;
      nothing.finish = PONDER_FINISH_ERROR;
      nothing.error = ponder::Error(PONDER_E_INTERNAL, e.message);
      print_json(reply_json({}, nothing, 0));
      throw;
    }
  });
}

}  // namespace cli
