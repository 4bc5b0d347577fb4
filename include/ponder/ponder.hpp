// C++20 over the C ABI: header-only, uses ponder.h and nothing else of ours. Model, Tokenizer and ChatTemplate are
// cheap-to-copy values (shared, immutable); Session is move-only. Calls return ponder::Result<T>; with exceptions on,
// value() throws ponder::Error. Works with -fno-exceptions too.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ponder/ponder.h"

#if defined(__cpp_exceptions)
#define PONDER_HPP_EXCEPTIONS 1
#else
#define PONDER_HPP_EXCEPTIONS 0
#include <cstdlib>
#endif

namespace ponder {
inline namespace v0_1 {

class Error : public std::exception {
 public:
  Error() = default;
  explicit Error(const ponder_error& err) : code_(err.code), message_(err.message) {}
  Error(ponder_status code, std::string message) : code_(code), message_(std::move(message)) {}
  ponder_status code() const { return code_; }
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ponder_status code_ = PONDER_OK;
  std::string message_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose
  explicit operator bool() const { return value_.has_value(); }
  bool ok() const { return value_.has_value(); }
  const Error& error() const { return error_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T& value() & { return check(), *value_; }
  T&& value() && { return check(), std::move(*value_); }

 private:
  void check() const {
    if (value_) return;
#if PONDER_HPP_EXCEPTIONS
    throw error_;
#else
    std::abort();  // the host asked for a value that is not there, and exceptions are off
#endif
  }
  std::optional<T> value_;
  Error error_;
};

struct Done {};  // the value of a Result that carries none

namespace detail {

struct Call {
  ponder_error err{};
  ponder_status status = PONDER_OK;
  bool failed() const { return status < 0; }
  Error error() const { return err.code == status ? Error(err) : Error(status, ponder_status_name(status)); }
};

inline std::string take(ponder_buffer* buffer) {
  std::string text(static_cast<const char*>(ponder_buffer_data(buffer)), ponder_buffer_size(buffer));
  ponder_buffer_free(buffer);
  return text;
}

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* handle) const { Free(handle); }
};

// A list that the C ABI writes into the caller's array: f(out, capacity, out_count, err). `guess` saves the second call.
template <class F>
Result<std::vector<std::int32_t>> list(std::size_t guess, F&& f) {
  std::vector<std::int32_t> out(guess);
  Call call;
  std::size_t count = 0;
  call.status = f(out.data(), out.size(), &count, &call.err);
  if (call.status == PONDER_E_BUFFER_TOO_SMALL || (call.status == PONDER_OK && count > guess)) {
    out.resize(count);
    call.status = f(out.data(), out.size(), &count, &call.err);
  }
  if (call.failed()) return call.error();
  out.resize(count);
  return out;
}

// A std::function that may throw, called from C: the exception is kept and thrown again after the C call returned.
struct Kept {
  std::exception_ptr exception;
  template <class F>
  std::int32_t run(F&& f) noexcept {
#if PONDER_HPP_EXCEPTIONS
    try {
      return f() ? 0 : 1;
    } catch (...) {
      exception = std::current_exception();
      return 1;
    }
#else
    return f() ? 0 : 1;
#endif
  }
  void rethrow() {
#if PONDER_HPP_EXCEPTIONS
    if (exception) std::rethrow_exception(std::exchange(exception, nullptr));
#endif
  }
};

}  // namespace detail

enum class Channel : std::int32_t { answer = PONDER_CHANNEL_ANSWER, thinking = PONDER_CHANNEL_THINKING };

struct RuntimeOptions {
  int n_threads = 0;
  std::string max_isa = {};
  // May be called on any thread, as long as the runtime or anything made with it lives; must not throw.
  ponder_log_fn log = nullptr;
  void* log_user_data = nullptr;
  ponder_log_level log_level = PONDER_LOG_DEFAULT;
  std::int64_t memory_limit = 0;  // bytes of all large memory; 0: none
  // As in ponder_runtime_params; these must not throw either.
  ponder_thread_fn on_thread_start = nullptr;
  void* thread_user_data = nullptr;
  ponder_executor_fn executor = nullptr;
  void* executor_user_data = nullptr;
  ponder_allocate_fn allocate = nullptr;
  ponder_deallocate_fn deallocate = nullptr;
  void* allocator_user_data = nullptr;
};

class Runtime {
 public:
  static Result<Runtime> create(const RuntimeOptions& options = {}) {
    ponder_runtime_params p = ponder_runtime_params_default();
    p.n_threads = options.n_threads;
    if (!options.max_isa.empty()) p.max_isa = options.max_isa.c_str();
    p.log = options.log, p.log_user_data = options.log_user_data, p.log_level = options.log_level;
    p.memory_limit = options.memory_limit;
    p.on_thread_start = options.on_thread_start, p.thread_user_data = options.thread_user_data;
    p.executor = options.executor, p.executor_user_data = options.executor_user_data;
    p.allocate = options.allocate, p.deallocate = options.deallocate, p.allocator_user_data = options.allocator_user_data;
    ponder_runtime* handle = nullptr;
    detail::Call call;
    call.status = ponder_runtime_create(&p, &handle, &call.err);
    if (call.failed()) return call.error();
    return Runtime(handle);
  }
  std::string isa() const { return ponder_runtime_isa(get()); }
  int n_threads() const { return ponder_runtime_threads(get()); }
  // The kernels beside their reference. ok: the JSON report; a failing kernel is the error, with the report in *report.
  Result<std::string> selftest(std::string* report = nullptr) const {
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_selftest(get(), &json, &call.err);
    std::string text = json ? detail::take(json) : std::string();
    if (report) *report = text;
    if (call.failed()) return call.error();
    return text;
  }
  ponder_memory_info memory() const {
    ponder_memory_info info{};
    info.struct_size = sizeof info;
    (void)ponder_runtime_memory(get(), &info, nullptr);
    return info;
  }
  ponder_runtime* get() const { return handle_.get(); }

 private:
  explicit Runtime(ponder_runtime* handle) : handle_(handle, ponder_runtime_free) {}
  std::shared_ptr<ponder_runtime> handle_;
};

class Tokenizer {
 public:
  static Result<Tokenizer> load(const std::string& path) {
    ponder_tokenizer* handle = nullptr;
    detail::Call call;
    call.status = ponder_tokenizer_load(path.c_str(), &handle, &call.err);
    if (call.failed()) return call.error();
    return Tokenizer(handle);
  }
  static Result<Tokenizer> load_files(const ponder_file_system& files, const std::string& path) {
    ponder_tokenizer* handle = nullptr;
    detail::Call call;
    call.status = ponder_tokenizer_load_files(&files, path.c_str(), &handle, &call.err);
    if (call.failed()) return call.error();
    return Tokenizer(handle);
  }
  // flags: PONDER_ENCODE_...
  Result<std::vector<std::int32_t>> encode(std::string_view text, std::uint32_t flags = 0) const {
    // Byte-level: hardly ever more ids than bytes, BOS aside.
    return detail::list(text.size() + 8, [&](std::int32_t* out, std::size_t capacity, std::size_t* count, ponder_error* err) {
      return ponder_tokenizer_encode(get(), text.data(), text.size(), flags, out, capacity, count, err);
    });
  }
  Result<std::string> decode(std::span<const std::int32_t> ids, std::uint32_t flags = 0) const {
    ponder_buffer* text = nullptr;
    detail::Call call;
    call.status = ponder_tokenizer_decode(get(), ids.data(), ids.size(), flags, &text, &call.err);
    if (call.failed()) return call.error();
    return detail::take(text);
  }
  // The id of one token given by its text, e.g. "<think>".
  Result<std::int32_t> find(std::string_view text) const {
    std::int32_t id = -1;
    detail::Call call;
    call.status = ponder_tokenizer_find(get(), text.data(), text.size(), &id, &call.err);
    if (call.failed()) return call.error();
    return id;
  }
  // Raw bytes of one token, possibly a part of a character; valid as long as a copy of this tokenizer lives.
  Result<std::string_view> token(std::int32_t id) const {
    const char* bytes = nullptr;
    std::size_t size = 0;
    detail::Call call;
    call.status = ponder_tokenizer_token(get(), id, &bytes, &size, nullptr, &call.err);
    if (call.failed()) return call.error();
    return std::string_view(bytes, size);
  }
  ponder_tokenizer_info info() const {
    ponder_tokenizer_info info{};
    info.struct_size = sizeof info;
    (void)ponder_tokenizer_get_info(get(), &info, nullptr);
    return info;
  }
  int n_ids() const { return info().n_ids; }
  ponder_tokenizer* get() const { return handle_.get(); }

 private:
  friend class Model;
  explicit Tokenizer(ponder_tokenizer* handle) : handle_(handle, ponder_tokenizer_free) {}
  std::shared_ptr<ponder_tokenizer> handle_;
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> load(const std::string& path) {
    ponder_template* handle = nullptr;
    detail::Call call;
    call.status = ponder_template_load(path.c_str(), &handle, &call.err);
    if (call.failed()) return call.error();
    return ChatTemplate(handle);
  }
  static Result<ChatTemplate> load_files(const ponder_file_system& files, const std::string& path) {
    ponder_template* handle = nullptr;
    detail::Call call;
    call.status = ponder_template_load_files(&files, path.c_str(), &handle, &call.err);
    if (call.failed()) return call.error();
    return ChatTemplate(handle);
  }
  static Result<ChatTemplate> builtin(const std::string& name) {
    ponder_template* handle = nullptr;
    detail::Call call;
    call.status = ponder_template_builtin(name.c_str(), &handle, &call.err);
    if (call.failed()) return call.error();
    return ChatTemplate(handle);
  }
  Result<std::string> render(std::string_view messages_json, std::string_view kwargs_json = {},
                             std::uint32_t flags = 0) const {
    ponder_buffer* text = nullptr;
    detail::Call call;
    call.status = ponder_template_render(handle_.get(), messages_json.data(), messages_json.size(),
                                         kwargs_json.empty() ? nullptr : kwargs_json.data(), kwargs_json.size(), flags,
                                         &text, &call.err);
    if (call.failed()) return call.error();
    return detail::take(text);
  }

 private:
  friend class Model;
  explicit ChatTemplate(ponder_template* handle) : handle_(handle, ponder_template_free) {}
  std::shared_ptr<ponder_template> handle_;
};

struct SessionOptions {
  std::int64_t context_length = 0;
  int n_threads = 0;
  int prefill_chunk = 0;
  ponder_compute compute = PONDER_COMPUTE_DEFAULT;
  ponder_kv_type kv_type = PONDER_KV_DEFAULT;
  bool defer_prefill = false;
  std::string prompt_cache = {};  // folder of computed prompts; empty: none
  std::int64_t prompt_cache_bytes = 0;
  int prompt_cache_min_tokens = 0;

  ponder_session_params c_params() const {  // valid as long as this
    ponder_session_params p = ponder_session_params_default();
    p.context_length = context_length;
    p.n_threads = n_threads;
    p.prefill_chunk = prefill_chunk;
    p.compute = compute;
    p.kv_type = kv_type;
    if (defer_prefill) p.flags |= PONDER_SESSION_DEFER_PREFILL;
    if (!prompt_cache.empty()) p.prompt_cache = prompt_cache.c_str();
    p.prompt_cache_bytes = prompt_cache_bytes;
    p.prompt_cache_min_tokens = prompt_cache_min_tokens;
    return p;
  }
};

// The host's own sampler: sees and may change the logits [vocab_size], and may choose an id; nullopt leaves that to the
// built-in samplers.
using SamplerFunction = std::function<std::optional<std::int32_t>(std::span<float>)>;

// ponder_generate_params with C++ containers; `params` carries every plain field.
struct GenerateOptions {
  ponder_generate_params params = ponder_generate_params_default();
  std::vector<std::string> stop = {};
  std::vector<std::int32_t> stop_ids = {};
  std::vector<ponder_logit_bias> logit_bias = {};
  SamplerFunction sampler = {};
};

// ponder_reasoning_params with C++ strings; `params` carries every plain field.
struct ReasoningOptions {
  ponder_reasoning_params params = ponder_reasoning_params_default();
  std::optional<std::string> wait_text = {};  // nullopt: "Wait"
  std::string message = {};
};

// Several replies to one prompt; see ponder_session_vote and ponder_session_best_of.
struct SamplesOptions {
  int n = 8;           // replies at most
  int n_parallel = 0;  // computed together; 0: min(n, 16)
  ponder_answer_place place = PONDER_ANSWER_BOXED;
  bool weighted = false;  // a vote counts exp(mean log-probability of the reply)
  bool all = false;       // also when the outcome is known before
  double threshold = 1;   // of best_of: good enough

  ponder_samples_params to_params() const {
    ponder_samples_params p = ponder_samples_params_default();
    p.flags = (weighted ? PONDER_SAMPLES_WEIGHTED : 0) | (all ? PONDER_SAMPLES_ALL : 0);
    p.n = n;
    p.n_parallel = n_parallel;
    p.place = place;
    p.threshold = threshold;
    return p;
  }
};

struct Sample {
  std::int64_t index;
  std::string_view thinking, answer;
  std::optional<std::string_view> extracted;  // the answer in the box, or where else it was looked for
  std::span<const std::int32_t> ids;
  double mean_logprob;
  ponder_finish finish;
};

struct EmbedOptions {
  ponder_pooling pooling = PONDER_POOLING_DEFAULT;
  bool normalize = false;      // to length 1
  bool parse_special = false;  // texts: added tokens in them become their ids

  std::uint32_t flags() const {
    return (normalize ? PONDER_EMBED_NORMALIZE : 0) | (parse_special ? PONDER_EMBED_SPECIAL : 0);
  }
};

struct Token {
  std::int32_t id;
  Channel channel;
  bool forced;
  std::string_view text;  // this and top_logprobs: valid until the next call on the session
  float logprob;
  std::span<const ponder_logprob> top_logprobs;  // params.n_top_logprobs alternatives, best first
};

struct Reply {
  std::string thinking;
  std::string answer;
  std::vector<std::int32_t> ids;  // generated, the end token not among them
  ponder_finish finish = PONDER_FINISH_NONE;
  std::optional<Error> error;     // set when finish is PONDER_FINISH_ERROR
};

// A LoRA adapter; see ponder_adapter_load. Cheap to copy.
class Adapter {
 public:
  ponder_adapter_info info() const {
    ponder_adapter_info info{};
    info.struct_size = sizeof info;
    (void)ponder_adapter_get_info(get(), &info, nullptr);
    return info;
  }
  ponder_adapter* get() const { return handle_.get(); }

 private:
  friend class Model;
  explicit Adapter(ponder_adapter* handle) : handle_(handle, ponder_adapter_free) {}
  std::shared_ptr<ponder_adapter> handle_;
};

struct AdapterUse {
  Adapter adapter;
  float scale = 1;
};

class Session {
 public:
  // (tokens done, tokens in all); false cancels.
  using ProgressFunction = std::function<bool(std::size_t, std::size_t)>;

  // Messages as JSON: an OpenAI array or {messages, tools, add_generation_prompt}.
  Result<Done> prompt_chat(std::string_view messages_json, std::string_view kwargs_json = {}, std::uint32_t flags = 0,
                           const ProgressFunction& progress = {}) {
    return prompt_with(progress, [&](ponder_prefill_fn fn, void* user, ponder_error* err) {
      return ponder_session_prompt_chat(get(), messages_json.data(), messages_json.size(),
                                        kwargs_json.empty() ? nullptr : kwargs_json.data(), kwargs_json.size(), flags, fn,
                                        user, err);
    });
  }
  Result<Done> prompt(std::string_view user_text) {
    return run([&](ponder_error* err) { return ponder_session_prompt(get(), user_text.data(), user_text.size(), err); });
  }
  Result<Done> prompt_text(std::string_view text, std::uint32_t flags = 0, const ProgressFunction& progress = {}) {
    return prompt_with(progress, [&](ponder_prefill_fn fn, void* user, ponder_error* err) {
      return ponder_session_prompt_text(get(), text.data(), text.size(), flags, fn, user, err);
    });
  }
  Result<Done> prompt_ids(std::span<const std::int32_t> ids, const ProgressFunction& progress = {}) {
    return prompt_with(progress, [&](ponder_prefill_fn fn, void* user, ponder_error* err) {
      return ponder_session_prompt_ids(get(), ids.data(), ids.size(), fn, user, err);
    });
  }
  Result<Done> append_ids(std::span<const std::int32_t> ids, const ProgressFunction& progress = {}) {
    return prompt_with(progress, [&](ponder_prefill_fn fn, void* user, ponder_error* err) {
      return ponder_session_append_ids(get(), ids.data(), ids.size(), fn, user, err);
    });
  }
  // The ids that prompt_chat would use.
  Result<std::vector<std::int32_t>> chat_ids(std::string_view messages_json, std::string_view kwargs_json = {},
                                             std::uint32_t flags = 0) const {
    return detail::list(messages_json.size(), [&](std::int32_t* out, std::size_t capacity, std::size_t* count, ponder_error* err) {
      return ponder_session_chat_ids(get(), messages_json.data(), messages_json.size(),
                                     kwargs_json.empty() ? nullptr : kwargs_json.data(), kwargs_json.size(), flags, out,
                                     capacity, count, err);
    });
  }
  Result<Done> set_options(const GenerateOptions& options) {
    ponder_generate_params p = options.params;
    std::vector<ponder_text> stop;
    for (const std::string& text : options.stop) stop.push_back({text.data(), text.size()});
    p.stop = stop.data(), p.n_stop = stop.size();
    p.stop_ids = options.stop_ids.data(), p.n_stop_ids = options.stop_ids.size();
    p.logit_bias = options.logit_bias.data(), p.n_logit_bias = options.logit_bias.size();
    std::shared_ptr<UserSampler> sampler;
    if (options.sampler) {
      sampler = std::make_shared<UserSampler>();
      sampler->function = options.sampler;
      p.sampler = &UserSampler::call, p.sampler_user_data = sampler.get();
    }
    Result<Done> done = run([&](ponder_error* err) { return ponder_session_set_params(get(), &p, err); });
    if (done) sampler_ = std::move(sampler);
    return done;
  }

  // The controller of thinking and answer, from the next token on; nullopt turns it off.
  Result<Done> set_reasoning(const std::optional<ReasoningOptions>& options) {
    if (!options) return run([&](ponder_error* err) { return ponder_session_set_reasoning(get(), nullptr, err); });
    ponder_reasoning_params p = options->params;
    if (options->wait_text) p.wait_text = options->wait_text->c_str();
    if (!options->message.empty()) p.message = options->message.c_str();
    return run([&](ponder_error* err) { return ponder_session_set_reasoning(get(), &p, err); });
  }

  // The answers of this and the following replies stay within it. PONDER_GRAMMAR_NONE: none.
  Result<Done> set_grammar(ponder_grammar kind, std::string_view text = {}) {
    return run([&](ponder_error* err) { return ponder_session_set_grammar(get(), kind, text.data(), text.size(), err); });
  }

  // All adapters at once; none: the model itself. What other adapters computed is computed anew.
  Result<Done> set_adapters(std::span<const AdapterUse> adapters) {
    std::vector<ponder_adapter_use> uses;
    for (const AdapterUse& use : adapters) uses.push_back({use.adapter.get(), use.scale, 0});
    return run([&](ponder_error* err) { return ponder_session_set_adapters(get(), uses.data(), uses.size(), err); });
  }
  Result<Done> set_adapter(const Adapter& adapter, float scale = 1) {
    const AdapterUse use{adapter, scale};
    return set_adapters({&use, 1});
  }

  // The next token, or nullopt at the end of the reply.
  Result<std::optional<Token>> next() {
    ponder_token_event event{};
    event.struct_size = sizeof event;
    detail::Call call;
    call.status = ponder_session_next(get(), &event, &call.err);
    rethrow();
    if (call.failed()) return call.error();
    if (call.status == PONDER_END) return std::optional<Token>();
    return std::optional<Token>(to_token(event));
  }
  // Time-sliced, for hosts with a frame loop: what became of one slice of about budget_us microseconds.
  struct Slice {
    bool done = false;           // the reply is complete
    std::optional<Token> token = {};  // none yet: call again
  };
  Result<Slice> step(std::int64_t budget_us) {
    ponder_token_event event{};
    event.struct_size = sizeof event;
    detail::Call call;
    call.status = ponder_session_step(get(), budget_us, &event, &call.err);
    rethrow();
    if (call.failed()) return call.error();
    if (call.status == PONDER_OK) return Slice{false, to_token(event)};
    return Slice{call.status == PONDER_END, std::nullopt};
  }
  Channel next_channel() const { return static_cast<Channel>(ponder_session_next_channel(get())); }

  // The whole reply to what was prompted; on_token returns false to stop. A reply that was cut short by an error keeps
  // what was generated: look at finish and error.
  Reply generate(const std::function<bool(const Token&)>& on_token = {}) {
    Reply reply;
    for (;;) {
      Result<std::optional<Token>> token = next();
      if (!token) {
        const ponder_status code = token.error().code();
        reply.finish = code == PONDER_E_CANCELLED      ? PONDER_FINISH_CANCELLED
                       : code == PONDER_E_CONTEXT_FULL ? PONDER_FINISH_LENGTH
                                                       : PONDER_FINISH_ERROR;
        if (reply.finish == PONDER_FINISH_ERROR) reply.error = token.error();
        return reply;
      }
      if (!*token) break;
      const Token& t = **token;
      if (t.id >= 0) reply.ids.push_back(t.id);
      (t.channel == Channel::thinking ? reply.thinking : reply.answer).append(t.text);
      if (on_token && !on_token(t)) {
        reply.finish = PONDER_FINISH_CANCELLED;
        return reply;
      }
    }
    reply.finish = ponder_session_finish_reason(get());
    return reply;
  }
  // Prompts with one user message and generates; on_text returns false to stop.
  Result<Reply> generate(std::string_view user_text, const std::function<bool(std::string_view)>& on_text = {}) {
    if (Result<Done> done = prompt(user_text); !done) return done.error();
    Reply reply = generate([&](const Token& t) { return !on_text || on_text(t.text); });
    if (reply.error) return *reply.error;
    return reply;
  }

  void cancel() { ponder_session_cancel(get()); }
  // The most frequent of several answers: a JSON object, see ponder_session_vote. The session holds the winning reply.
  Result<std::string> vote(const SamplesOptions& options = {}) {
    const ponder_samples_params p = options.to_params();
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_session_vote(get(), &p, &json, &call.err);
    rethrow();
    if (call.failed()) return call.error();
    return detail::take(json);
  }
  // The reply with the greatest score; see ponder_session_best_of. NaN: no score.
  Result<std::string> best_of(const std::function<double(const Sample&)>& verifier, const SamplesOptions& options = {}) {
    const ponder_samples_params p = options.to_params();
    struct Context {
      const std::function<double(const Sample&)>& verifier;
      detail::Kept kept = {};
    } context{verifier};
    const ponder_verifier_fn call_verifier = [](void* user, const ponder_sample* s, double* out_score) -> std::int32_t {
      auto& c = *static_cast<Context*>(user);
      const auto text = [](const ponder_text& t) { return std::string_view(t.data ? t.data : "", t.size); };
      Sample sample{s->index, text(s->thinking), text(s->answer), std::nullopt, {s->ids, s->n_ids}, s->mean_logprob, s->finish};
      if (s->extracted.data) sample.extracted = text(s->extracted);
      return c.kept.run([&] {
        *out_score = c.verifier(sample);
        return true;
      });
    };
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_session_best_of(get(), &p, call_verifier, &context, &json, &call.err);
    context.kept.rethrow();
    rethrow();
    if (call.failed()) return call.error();
    return detail::take(json);
  }

  // "Answer now", from any thread.
  void stop_thinking() { ponder_session_stop_thinking(get()); }
  ponder_finish finish_reason() const { return ponder_session_finish_reason(get()); }
  // The fork gets a copy of a sampler function.
  Result<Session> fork() const {
    ponder_session* handle = nullptr;
    detail::Call call;
    call.status = ponder_session_fork(get(), &handle, &call.err);
    if (call.failed()) return call.error();
    Session forked(handle);
    if (!sampler_) return forked;
    ponder_generate_params p = ponder_generate_params_default();
    call.status = ponder_session_get_params(handle, &p, &call.err);
    if (call.failed()) return call.error();
    forked.sampler_ = std::make_shared<UserSampler>();
    forked.sampler_->function = sampler_->function;
    p.sampler_user_data = forked.sampler_.get();
    call.status = ponder_session_set_params(handle, &p, &call.err);
    if (call.failed()) return call.error();
    return forked;
  }
  Result<Done> rewind(std::size_t n_tokens) {
    return run([&](ponder_error* err) { return ponder_session_rewind(get(), n_tokens, err); });
  }
  Result<std::string> save() const {
    ponder_buffer* state = nullptr;
    detail::Call call;
    call.status = ponder_session_save(get(), &state, &call.err);
    if (call.failed()) return call.error();
    return detail::take(state);
  }
  Result<Done> save_file(const std::string& path) const {
    return run([&](ponder_error* err) { return ponder_session_save_file(get(), path.c_str(), err); });
  }
  Result<Done> restore(std::string_view state) {
    return run([&](ponder_error* err) { return ponder_session_restore(get(), state.data(), state.size(), err); });
  }
  Result<Done> restore_file(const std::string& path) {
    return run([&](ponder_error* err) { return ponder_session_restore_file(get(), path.c_str(), err); });
  }
  // All ids, prompt and reply.
  Result<std::vector<std::int32_t>> tokens() const {
    return detail::list(static_cast<std::size_t>(stats().n_tokens),
                        [&](std::int32_t* out, std::size_t capacity, std::size_t* count, ponder_error* err) {
                          return ponder_session_tokens(get(), out, capacity, count, err);
                        });
  }
  // Fills out [vocab_size] with the logits of the last position.
  Result<Done> logits(std::span<float> out) {
    return run([&](ponder_error* err) { return ponder_session_logits(get(), out.data(), out.size(), err); });
  }
  Result<std::vector<ponder_logprob>> top_logprobs(std::size_t n) {
    std::vector<ponder_logprob> out(n);
    detail::Call call;
    call.status = ponder_session_top_logprobs(get(), out.data(), out.size(), &call.err);
    if (call.failed()) return call.error();
    return out;
  }
  // log p of every token given those before it; the first is 0.
  Result<std::vector<float>> prompt_logprobs() {
    std::vector<float> out(static_cast<std::size_t>(stats().n_tokens));
    float none = 0;
    detail::Call call;
    call.status = ponder_session_prompt_logprobs(get(), out.empty() ? &none : out.data(), out.size(), &call.err);
    if (call.failed()) return call.error();
    return out;
  }
  ponder_session_stats stats() const {
    ponder_session_stats stats{};
    stats.struct_size = sizeof stats;
    (void)ponder_session_get_stats(get(), &stats, nullptr);
    return stats;
  }

  // [texts.size(), hidden_size], row-major; the session's content stays as it is.
  Result<std::vector<float>> embed(std::span<const std::string_view> texts, const EmbedOptions& options = {}) {
    std::vector<ponder_text> list;
    for (std::string_view text : texts) list.push_back({text.data(), text.size()});
    return embed_with([&](float* out, std::size_t capacity, std::size_t* count, ponder_error* err) {
      return ponder_session_embed_texts(get(), list.data(), list.size(), options.pooling, options.flags(), out, capacity, count, err);
    });
  }
  Result<std::vector<float>> embed(std::string_view text, const EmbedOptions& options = {}) {
    return embed(std::span<const std::string_view>(&text, 1), options);
  }
  Result<std::vector<float>> embed_ids(std::span<const std::vector<std::int32_t>> inputs, const EmbedOptions& options = {}) {
    std::vector<std::int32_t> ids;
    std::vector<std::size_t> lengths;
    for (const std::vector<std::int32_t>& input : inputs) {
      ids.insert(ids.end(), input.begin(), input.end());
      lengths.push_back(input.size());
    }
    return embed_with([&](float* out, std::size_t capacity, std::size_t* count, ponder_error* err) {
      return ponder_session_embed_ids(get(), ids.data(), lengths.data(), lengths.size(), options.pooling, options.flags(), out,
                                      capacity, count, err);
    });
  }

  // Tensors of one forward pass over `ids`; see ponder_session_evaluate.
  struct TensorView {
    std::string_view name;
    ponder_dtype dtype;
    const void* data;
    std::span<const std::int64_t> shape;
  };
  Result<Done> evaluate(std::span<const std::int32_t> ids, std::span<const std::int32_t> mtp_next_ids,
                        std::uint32_t flags, const std::function<bool(const TensorView&)>& on_tensor) {
    if (!mtp_next_ids.empty() && mtp_next_ids.size() != ids.size())  // the C function reads one per id
      return Error(PONDER_E_INVALID_ARGUMENT, "mtp_next_ids: " + std::to_string(mtp_next_ids.size()) +
                                                  " ids, want one for each of " + std::to_string(ids.size()));
    struct Context {
      const std::function<bool(const TensorView&)>* function;
      detail::Kept kept;
      static std::int32_t PONDER_CALL call(void* user, const char* name, ponder_dtype dtype, const void* data,
                                           const std::int64_t* shape, std::int32_t n_dims) {
        auto* self = static_cast<Context*>(user);
        return self->kept.run([&] {
          return (*self->function)({name, dtype, data, {shape, static_cast<std::size_t>(n_dims)}});
        });
      }
    } context{&on_tensor, {}};
    detail::Call call;
    call.status = ponder_session_evaluate(get(), ids.data(), ids.size(),
                                          mtp_next_ids.empty() ? nullptr : mtp_next_ids.data(), flags, &Context::call,
                                          &context, &call.err);
    context.kept.rethrow();
    if (call.failed()) return call.error();
    return Done{};
  }

  ponder_session* get() const { return handle_.get(); }

 private:
  friend class Model;
  friend class Batch;
  explicit Session(ponder_session* handle) : handle_(handle) {}

  struct UserSampler {
    SamplerFunction function;
    detail::Kept kept;
    static std::int32_t PONDER_CALL call(void* user, float* logits, std::size_t vocab_size, std::int32_t* out_id) {
      auto* self = static_cast<UserSampler*>(user);
      return self->kept.run([&] {
        if (const std::optional<std::int32_t> id = self->function({logits, vocab_size})) *out_id = *id;
        return true;
      });
    }
  };
  void rethrow() const {
    if (sampler_) sampler_->kept.rethrow();
  }
  struct Progress {
    const std::function<bool(std::size_t, std::size_t)>* function;
    detail::Kept kept;
    static std::int32_t PONDER_CALL call(void* user, std::size_t done, std::size_t total) {
      auto* self = static_cast<Progress*>(user);
      return self->kept.run([&] { return (*self->function)(done, total); });
    }
  };
  template <class F>
  static Result<Done> prompt_with(const ProgressFunction& progress, F&& f) {
    Progress p{&progress, {}};
    detail::Call call;
    call.status = f(progress ? &Progress::call : nullptr, &p, &call.err);
    p.kept.rethrow();
    if (call.failed()) return call.error();
    return Done{};
  }
  template <class F>
  static Result<Done> run(F&& f) {
    detail::Call call;
    call.status = f(&call.err);
    if (call.failed()) return call.error();
    return Done{};
  }
  // f(out, capacity, out_count, err), first for the count.
  template <class F>
  static Result<std::vector<float>> embed_with(F&& f) {
    std::vector<float> out;
    std::size_t count = 0;
    detail::Call call;
    call.status = f(nullptr, 0, &count, &call.err);
    if (call.failed()) return call.error();
    out.resize(count);
    if (count > 0) call.status = f(out.data(), out.size(), &count, &call.err);
    if (call.failed()) return call.error();
    return out;
  }
  static Token to_token(const ponder_token_event& e) {
    return {e.id, static_cast<Channel>(e.channel), e.forced != 0, {e.text, e.text_len}, e.logprob,
            {e.top_logprobs, e.n_top_logprobs}};
  }
  std::unique_ptr<ponder_session, detail::Deleter<ponder_session, ponder_session_free>> handle_;
  std::shared_ptr<UserSampler> sampler_;
};

// Sessions of one model, computed together; see ponder_batch_create. Owns none of them. One thread at a time.
class Batch {
 public:
  struct Event {
    ponder_session* session;          // compare with Session::get()
    ponder_status status;             // PONDER_OK: token. Else what became of the session, told once
    std::optional<Token> token = {};  // its text is valid until the next step, or call on the session
    Error error = {};
  };
  enum class State { working, sliced, idle };  // step() again; step() again, the pass is not done; nothing to do
  struct Step {
    State state;
    std::vector<Event> events;
  };

  Result<Done> add(Session& session, std::int32_t priority = 0) {
    return run([&](ponder_error* err) { return ponder_batch_add(get(), session.get(), priority, err); }, 1);
  }
  Result<Done> remove(Session& session) {
    return run([&](ponder_error* err) { return ponder_batch_remove(get(), session.get(), err); }, -1);
  }
  Result<Done> set_priority(Session& session, std::int32_t priority) {
    return run([&](ponder_error* err) { return ponder_batch_set_priority(get(), session.get(), priority, err); }, 0);
  }
  Result<Done> set_paused(Session& session, bool paused) {
    return run([&](ponder_error* err) { return ponder_batch_set_paused(get(), session.get(), paused ? 1 : 0, err); }, 0);
  }
  // One step, or about budget_us microseconds of it.
  Result<Step> step(std::optional<std::int64_t> budget_us = {}) {
    events_.assign(n_added_, {});
    for (ponder_batch_event& event : events_) event.struct_size = sizeof event;
    std::size_t count = 0;
    detail::Call call;
    call.status = budget_us ? ponder_batch_step(get(), *budget_us, events_.data(), events_.size(), &count, &call.err)
                            : ponder_batch_next(get(), events_.data(), events_.size(), &count, &call.err);
    if (call.failed()) return call.error();
    Step step{call.status == PONDER_END       ? State::idle
              : call.status == PONDER_PENDING ? State::sliced
                                              : State::working,
              {}};
    for (std::size_t i = 0; i < count; ++i) {
      const ponder_batch_event& e = events_[i];
      Event event{e.session, e.status};
      if (e.token) event.token = Session::to_token(*e.token);
      if (e.status < 0) event.error = Error(e.status, e.message);
      step.events.push_back(std::move(event));
    }
    return step;
  }
  ponder_batch* get() const { return handle_.get(); }

 private:
  friend class Model;
  explicit Batch(ponder_batch* handle) : handle_(handle) {}
  template <class F>
  Result<Done> run(F&& f, int n_added) {
    detail::Call call;
    call.status = f(&call.err);
    if (call.failed()) return call.error();
    n_added_ += static_cast<std::size_t>(n_added);  // -1 wraps
    return Done{};
  }
  std::unique_ptr<ponder_batch, detail::Deleter<ponder_batch, ponder_batch_free>> handle_;
  std::vector<ponder_batch_event> events_;
  std::size_t n_added_ = 0;  // at least as many as there are
};

struct LoadOptions {
  std::function<bool(float)> progress = {};  // false cancels
  bool load_mtp = true;
  std::optional<Runtime> runtime = {};  // none: a runtime of its own
  std::string weight_type = {};  // empty: as they lie; else converted in memory, see ponder_model_params
  const ponder_file_system* files = nullptr;  // of the host, not those of the operating system; see ponder_file_system
};

struct QuantizeOptions {
  std::string type = {};     // empty: q4_k_m; see ponder_quantize_params
  std::string imatrix = {};  // path of an importance matrix, or empty
  // Bytes done and in all, the tensor being written; false cancels.
  std::function<bool(std::uint64_t, std::uint64_t, std::string_view)> progress = {};
  std::optional<Runtime> runtime = {};  // none: a runtime of its own
  const ponder_file_system* files = nullptr;  // of the host: where the model is
};

class Model {
 public:
  static Result<Model> load(const std::string& path, const LoadOptions& options = {}) {
    return make(options, [&](ponder_runtime* runtime, const ponder_model_params& p, ponder_model** out, ponder_error* err) {
      return ponder_model_load(runtime, path.c_str(), &p, out, err);
    });
  }
  // The memory must outlive the model.
  static Result<Model> load_memory(std::span<const ponder_memory_file> files, const LoadOptions& options = {}) {
    return make(options, [&](ponder_runtime* runtime, const ponder_model_params& p, ponder_model** out, ponder_error* err) {
      return ponder_model_load_memory(runtime, files.data(), files.size(), &p, out, err);
    });
  }
  static Result<Model> random(std::string_view config_json, const std::string& dtype, int n_layers, std::uint64_t seed,
                              const LoadOptions& options = {}) {
    return make(options, [&](ponder_runtime* runtime, const ponder_model_params&, ponder_model** out, ponder_error* err) {
      return ponder_model_random(runtime, config_json.data(), config_json.size(), dtype.c_str(), n_layers, seed, out, err);
    });
  }
  // Writes the model at `path` as a GGUF file; a JSON report, see ponder_quantize.
  static Result<std::string> quantize(const std::string& path, const std::string& output_path,
                                      const QuantizeOptions& options = {}) {
    const Result<Runtime> runtime = options.runtime ? Result<Runtime>(*options.runtime) : Runtime::create();
    if (!runtime) return runtime.error();
    struct Context {
      const QuantizeOptions* options;
      detail::Kept kept;
      static std::int32_t PONDER_CALL call(void* user, std::uint64_t done, std::uint64_t total, const char* tensor) {
        auto* self = static_cast<Context*>(user);
        return self->kept.run([&] { return self->options->progress(done, total, tensor); });
      }
    } context{&options, {}};
    ponder_quantize_params p = ponder_quantize_params_default();
    if (!options.type.empty()) p.type = options.type.c_str();
    if (!options.imatrix.empty()) p.imatrix_path = options.imatrix.c_str();
    if (options.progress) p.progress = &Context::call, p.progress_user_data = &context;
    p.files = options.files;
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_quantize(runtime->get(), path.c_str(), output_path.c_str(), &p, &json, &call.err);
    context.kept.rethrow();
    if (call.failed()) return call.error();
    return detail::take(json);
  }
  // JSON description of a checkpoint; no weight is read.
  static Result<std::string> inspect(const std::string& path, const SessionOptions& options = {}) {
    const ponder_session_params p = options.c_params();
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_inspect(path.c_str(), &p, &json, &call.err);
    if (call.failed()) return call.error();
    return detail::take(json);
  }
  static Result<std::string> inspect_files(const ponder_file_system& files, const std::string& path,
                                           const SessionOptions& options = {}) {
    const ponder_session_params p = options.c_params();
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_inspect_files(&files, path.c_str(), &p, &json, &call.err);
    if (call.failed()) return call.error();
    return detail::take(json);
  }
  static Result<std::string> inspect_memory(std::span<const ponder_memory_file> files, const SessionOptions& options = {}) {
    const ponder_session_params p = options.c_params();
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_inspect_memory(files.data(), files.size(), &p, &json, &call.err);
    if (call.failed()) return call.error();
    return detail::take(json);
  }

  // Writes an importance matrix for QuantizeOptions::imatrix; a JSON report, see ponder_imatrix. progress: chunks done and in
  // all; false cancels.
  Result<std::string> imatrix(std::string_view text, const std::string& output_path, int chunk_tokens = 0, int max_chunks = 0,
                              const std::function<bool(std::uint64_t, std::uint64_t)>& progress = {}) const {
    struct Context {
      const std::function<bool(std::uint64_t, std::uint64_t)>* function;
      detail::Kept kept;
      static std::int32_t PONDER_CALL call(void* user, std::uint64_t done, std::uint64_t total) {
        auto* self = static_cast<Context*>(user);
        return self->kept.run([&] { return (*self->function)(done, total); });
      }
    } context{&progress, {}};
    ponder_imatrix_params p = ponder_imatrix_params_default();
    p.chunk_tokens = chunk_tokens;
    p.max_chunks = max_chunks;
    if (progress) p.progress = &Context::call, p.progress_user_data = &context;
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_imatrix(runtime_.get(), get(), text.data(), text.size(), output_path.c_str(), &p, &json, &call.err);
    context.kept.rethrow();
    if (call.failed()) return call.error();
    return detail::take(json);
  }

  // The path of a model that another program on this machine knows by `name`; see ponder_model_resolve.
  static Result<std::string> resolve(const std::string& name) {
    ponder_buffer* path = nullptr;
    detail::Call call;
    call.status = ponder_model_resolve(name.c_str(), &path, &call.err);
    if (call.failed()) return call.error();
    return detail::take(path);
  }
  // Those models as a JSON array; see ponder_model_list.
  static Result<std::string> list() {
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_model_list(&json, &call.err);
    if (call.failed()) return call.error();
    return detail::take(json);
  }

  Result<Session> session(const SessionOptions& options = {}) const {
    const ponder_session_params p = options.c_params();
    ponder_session* handle = nullptr;
    detail::Call call;
    call.status = ponder_session_create(runtime_.get(), get(), &p, &handle, &call.err);
    if (call.failed()) return call.error();
    return Session(handle);
  }
  // A folder as PEFT saves it.
  Result<Adapter> adapter(const std::string& path) const {
    ponder_adapter* handle = nullptr;
    detail::Call call;
    call.status = ponder_adapter_load(runtime_.get(), get(), path.c_str(), &handle, &call.err);
    if (call.failed()) return call.error();
    return Adapter(handle);
  }
  // The memory must outlive the adapter and its sessions.
  Result<Adapter> adapter_memory(std::span<const ponder_memory_file> files) const {
    ponder_adapter* handle = nullptr;
    detail::Call call;
    call.status = ponder_adapter_load_memory(runtime_.get(), get(), files.data(), files.size(), &handle, &call.err);
    if (call.failed()) return call.error();
    return Adapter(handle);
  }
  // token_budget: of one step; 0: the default.
  Result<Batch> batch(std::int32_t token_budget = 0, int n_threads = 0) const {
    ponder_batch_params p = ponder_batch_params_default();
    p.token_budget = token_budget;
    p.n_threads = n_threads;
    ponder_batch* handle = nullptr;
    detail::Call call;
    call.status = ponder_batch_create(runtime_.get(), get(), &p, &handle, &call.err);
    if (call.failed()) return call.error();
    return Batch(handle);
  }
  ponder_model_info info() const {
    ponder_model_info info{};
    info.struct_size = sizeof info;
    (void)ponder_model_get_info(get(), &info, nullptr);
    return info;
  }
  // Ids that end a reply.
  Result<std::vector<std::int32_t>> eos_ids() const {
    return detail::list(8, [&](std::int32_t* out, std::size_t capacity, std::size_t* count, ponder_error* err) {
      return ponder_model_eos_ids(get(), out, capacity, count, err);
    });
  }
  // What a session with these options would reserve.
  Result<ponder_memory_plan> plan(const SessionOptions& options = {}) const {
    const ponder_session_params p = options.c_params();
    ponder_memory_plan plan{};
    plan.struct_size = sizeof plan;
    detail::Call call;
    call.status = ponder_model_plan(get(), &p, &plan, &call.err);
    if (call.failed()) return call.error();
    return plan;
  }
  // The sampling that generation_config.json asks for.
  GenerateOptions generate_options() const {
    GenerateOptions options;
    (void)ponder_model_generate_params(get(), &options.params, nullptr);
    return options;
  }
  Result<std::string> load_report() const {
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_model_load_report(get(), &json, &call.err);
    if (call.failed()) return call.error();
    return detail::take(json);
  }
  Result<Tokenizer> tokenizer() const {
    ponder_tokenizer* handle = nullptr;
    detail::Call call;
    call.status = ponder_model_tokenizer(get(), &handle, &call.err);
    if (call.failed()) return call.error();
    return Tokenizer(handle);
  }
  Result<ChatTemplate> chat_template() const {
    ponder_template* handle = nullptr;
    detail::Call call;
    call.status = ponder_model_template(get(), &handle, &call.err);
    if (call.failed()) return call.error();
    return ChatTemplate(handle);
  }
  const Runtime& runtime() const { return runtime_; }
  ponder_model* get() const { return handle_.get(); }

 private:
  Model(Runtime runtime, ponder_model* handle) : runtime_(std::move(runtime)), handle_(handle, ponder_model_free) {}

  template <class F>
  static Result<Model> make(const LoadOptions& options, F&& load) {
    const Result<Runtime> runtime = options.runtime ? Result<Runtime>(*options.runtime) : Runtime::create();
    if (!runtime) return runtime.error();
    struct Context {
      const std::function<bool(float)>* function;
      detail::Kept kept;
      static std::int32_t PONDER_CALL call(void* user, float fraction) {
        auto* self = static_cast<Context*>(user);
        return self->kept.run([&] { return (*self->function)(fraction); });
      }
    } context{&options.progress, {}};
    ponder_model_params p = ponder_model_params_default();
    if (!options.load_mtp) p.flags |= PONDER_MODEL_NO_MTP;
    p.files = options.files;
    if (!options.weight_type.empty()) p.weight_type = options.weight_type.c_str();
    if (options.progress) p.progress = &Context::call, p.progress_user_data = &context;
    ponder_model* handle = nullptr;
    detail::Call call;
    call.status = load(runtime->get(), p, &handle, &call.err);
    context.kept.rethrow();
    if (call.failed()) return call.error();
    return Model(*runtime, handle);
  }
  Runtime runtime_;
  std::shared_ptr<ponder_model> handle_;
};

}  // namespace v0_1
}  // namespace ponder
