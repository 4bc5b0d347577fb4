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
  void rethrow() const {
#if PONDER_HPP_EXCEPTIONS
    if (exception) std::rethrow_exception(exception);
#endif
  }
};

}  // namespace detail

enum class Channel : std::int32_t { answer = PONDER_CHANNEL_ANSWER, thinking = PONDER_CHANNEL_THINKING };

struct RuntimeOptions {
  int n_threads = 0;
  std::string max_isa;
};

class Runtime {
 public:
  static Result<Runtime> create(const RuntimeOptions& options = {}) {
    ponder_runtime_params p = ponder_runtime_params_default();
    p.n_threads = options.n_threads;
    if (!options.max_isa.empty()) p.max_isa = options.max_isa.c_str();
    ponder_runtime* handle = nullptr;
    detail::Call call;
    call.status = ponder_runtime_create(&p, &handle, &call.err);
    if (call.failed()) return call.error();
    return Runtime(handle);
  }
  std::string isa() const { return ponder_runtime_isa(get()); }
  int n_threads() const { return ponder_runtime_threads(get()); }
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
  // flags: PONDER_ENCODE_...
  Result<std::vector<std::int32_t>> encode(std::string_view text, std::uint32_t flags = 0) const {
    std::vector<std::int32_t> ids(text.size() + 8);  // byte-level: never more ids than bytes, BOS aside
    std::size_t count = 0;
    detail::Call call;
    call.status = ponder_tokenizer_encode(get(), text.data(), text.size(), flags, ids.data(), ids.size(), &count, &call.err);
    if (call.status == PONDER_E_BUFFER_TOO_SMALL) {
      ids.resize(count);
      call.status =
          ponder_tokenizer_encode(get(), text.data(), text.size(), flags, ids.data(), ids.size(), &count, &call.err);
    }
    if (call.failed()) return call.error();
    ids.resize(count);
    return ids;
  }
  Result<std::string> decode(std::span<const std::int32_t> ids, std::uint32_t flags = 0) const {
    ponder_buffer* text = nullptr;
    detail::Call call;
    call.status = ponder_tokenizer_decode(get(), ids.data(), ids.size(), flags, &text, &call.err);
    if (call.failed()) return call.error();
    return detail::take(text);
  }
  int n_ids() const { return ponder_tokenizer_n_ids(get()); }
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
};

// ponder_generate_params with C++ containers; `params` carries every plain field.
struct GenerateOptions {
  ponder_generate_params params = ponder_generate_params_default();
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_ids;
  std::vector<ponder_logit_bias> logit_bias;
};

struct Token {
  std::int32_t id;
  Channel channel;
  bool forced;
  std::string_view text;  // valid until the next call on the session
  float logprob;
};

struct Reply {
  std::string thinking;
  std::string answer;
  std::vector<std::int32_t> ids;  // generated, the end token not among them
  ponder_finish finish = PONDER_FINISH_NONE;
  std::optional<Error> error;     // set when finish is PONDER_FINISH_ERROR
};

class Session {
 public:
  // Messages as JSON: an OpenAI array or {messages, tools, add_generation_prompt}.
  Result<Done> prompt_chat(std::string_view messages_json, std::string_view kwargs_json = {}, std::uint32_t flags = 0,
                           const std::function<bool(std::size_t, std::size_t)>& progress = {}) {
    Progress p{&progress, {}};
    return finish(p, [&](ponder_error* err) {
      return ponder_session_prompt_chat(get(), messages_json.data(), messages_json.size(),
                                        kwargs_json.empty() ? nullptr : kwargs_json.data(), kwargs_json.size(), flags,
                                        progress ? &Progress::call : nullptr, &p, err);
    });
  }
  Result<Done> prompt(std::string_view user_text) {
    Progress p{nullptr, {}};
    return finish(p, [&](ponder_error* err) {
      return ponder_session_prompt(get(), user_text.data(), user_text.size(), err);
    });
  }
  Result<Done> prompt_text(std::string_view text, std::uint32_t flags = 0) {
    Progress p{nullptr, {}};
    return finish(p, [&](ponder_error* err) {
      return ponder_session_prompt_text(get(), text.data(), text.size(), flags, nullptr, nullptr, err);
    });
  }
  Result<Done> prompt_ids(std::span<const std::int32_t> ids,
                          const std::function<bool(std::size_t, std::size_t)>& progress = {}) {
    Progress p{&progress, {}};
    return finish(p, [&](ponder_error* err) {
      return ponder_session_prompt_ids(get(), ids.data(), ids.size(), progress ? &Progress::call : nullptr, &p, err);
    });
  }
  Result<Done> append_ids(std::span<const std::int32_t> ids) {
    Progress p{nullptr, {}};
    return finish(p, [&](ponder_error* err) {
      return ponder_session_append_ids(get(), ids.data(), ids.size(), nullptr, nullptr, err);
    });
  }
  Result<Done> set_options(const GenerateOptions& options) {
    ponder_generate_params p = options.params;
    std::vector<ponder_text> stop;
    for (const std::string& text : options.stop) stop.push_back({text.data(), text.size()});
    p.stop = stop.data(), p.n_stop = stop.size();
    p.stop_ids = options.stop_ids.data(), p.n_stop_ids = options.stop_ids.size();
    p.logit_bias = options.logit_bias.data(), p.n_logit_bias = options.logit_bias.size();
    detail::Call call;
    call.status = ponder_session_set_params(get(), &p, &call.err);
    if (call.failed()) return call.error();
    return Done{};
  }

  // The next token, or nullopt at the end of the reply.
  Result<std::optional<Token>> next() {
    ponder_token_event event{};
    event.struct_size = sizeof event;
    detail::Call call;
    call.status = ponder_session_next(get(), &event, &call.err);
    if (call.failed()) return call.error();
    if (call.status == PONDER_END) return std::optional<Token>();
    return std::optional<Token>(to_token(event));
  }

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
  ponder_finish finish_reason() const { return ponder_session_finish_reason(get()); }
  Result<Session> fork() const {
    ponder_session* handle = nullptr;
    detail::Call call;
    call.status = ponder_session_fork(get(), &handle, &call.err);
    if (call.failed()) return call.error();
    return Session(handle);
  }
  Result<Done> rewind(std::size_t n_tokens) {
    detail::Call call;
    call.status = ponder_session_rewind(get(), n_tokens, &call.err);
    if (call.failed()) return call.error();
    return Done{};
  }
  Result<std::string> save() const {
    ponder_buffer* state = nullptr;
    detail::Call call;
    call.status = ponder_session_save(get(), &state, &call.err);
    if (call.failed()) return call.error();
    return detail::take(state);
  }
  Result<Done> restore(std::string_view state) {
    detail::Call call;
    call.status = ponder_session_restore(get(), state.data(), state.size(), &call.err);
    if (call.failed()) return call.error();
    return Done{};
  }
  ponder_session_stats stats() const {
    ponder_session_stats stats{};
    stats.struct_size = sizeof stats;
    (void)ponder_session_get_stats(get(), &stats, nullptr);
    return stats;
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
  explicit Session(ponder_session* handle) : handle_(handle) {}

  struct Progress {
    const std::function<bool(std::size_t, std::size_t)>* function;
    detail::Kept kept;
    static std::int32_t PONDER_CALL call(void* user, std::size_t done, std::size_t total) {
      auto* self = static_cast<Progress*>(user);
      return self->kept.run([&] { return (*self->function)(done, total); });
    }
  };
  template <class F>
  static Result<Done> finish(Progress& progress, F&& f) {
    detail::Call call;
    call.status = f(&call.err);
    progress.kept.rethrow();
    if (call.failed()) return call.error();
    return Done{};
  }
  static Token to_token(const ponder_token_event& e) {
    return {e.id, static_cast<Channel>(e.channel), e.forced != 0, {e.text, e.text_len}, e.logprob};
  }
  std::unique_ptr<ponder_session, detail::Deleter<ponder_session, ponder_session_free>> handle_;
};

struct LoadOptions {
  std::function<bool(float)> progress;  // false cancels
  bool load_mtp = true;
  std::optional<Runtime> runtime;       // none: a runtime of its own
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
  // JSON description of a checkpoint; no weight is read.
  static Result<std::string> inspect(const std::string& path, std::int64_t context_length = 0) {
    ponder_buffer* json = nullptr;
    detail::Call call;
    call.status = ponder_inspect(path.c_str(), context_length, &json, &call.err);
    if (call.failed()) return call.error();
    return detail::take(json);
  }

  Result<Session> session(const SessionOptions& options = {}) const {
    ponder_session_params p = ponder_session_params_default();
    p.context_length = options.context_length;
    p.n_threads = options.n_threads;
    p.prefill_chunk = options.prefill_chunk;
    p.compute = options.compute;
    p.kv_type = options.kv_type;
    ponder_session* handle = nullptr;
    detail::Call call;
    call.status = ponder_session_create(runtime_.get(), get(), &p, &handle, &call.err);
    if (call.failed()) return call.error();
    return Session(handle);
  }
  ponder_model_info info() const {
    ponder_model_info info{};
    info.struct_size = sizeof info;
    (void)ponder_model_get_info(get(), &info, nullptr);
    return info;
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
    std::optional<Runtime> runtime = options.runtime;
    if (!runtime) {
      Result<Runtime> created = Runtime::create();
      if (!created) return created.error();
      runtime = *created;
    }
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
