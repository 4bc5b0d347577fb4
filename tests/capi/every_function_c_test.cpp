// Every function of ponder.h with NULL and with garbage in every argument: a status or nothing, never a crash. The list is
// compared with the header by a test in tests/abi, so that no function can be left out; what arguments are like follows from
// their types.
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <type_traits>

#include "tests/capi/adapter_files.h"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;

#define F(name) call(#name, name)

namespace {

constexpr std::size_t kRoom = 64;  // elements behind every pointer, and the most that a length says

// What functions write to garbage names goes into a folder of its own.
class InFolder {
 public:
  InFolder() : before_(std::filesystem::current_path()) { std::filesystem::current_path(folder_.path()); }
  ~InFolder() { std::filesystem::current_path(before_); }
  InFolder(const InFolder&) = delete;
  InFolder& operator=(const InFolder&) = delete;

 private:
  ponder::test::TemporaryFolder folder_;
  std::filesystem::path before_;
};

class Caller {
 public:
  explicit Caller(std::uint32_t seed) : state_(seed) {
    ponder_session_params params = ponder_session_params_default();
    params.context_length = 64;  // replies are short
    session_ = tiny_.session(params);
    ponder_tokenizer* tokenizer = nullptr;
    ponder_template* chat = nullptr;
    ponder_error err;
    REQUIRE(ponder_model_tokenizer(tiny_.model.get(), &tokenizer, &err) == PONDER_OK);
    tokenizer_.reset(tokenizer);
    REQUIRE(ponder_template_builtin("deepseek-r1", &chat, &err) == PONDER_OK);
    template_.reset(chat);
    ponder_batch* batch = nullptr;
    REQUIRE(ponder_batch_create(tiny_.runtime.get(), tiny_.model.get(), nullptr, &batch, &err) == PONDER_OK);
    batch_.reset(batch);
    ponder_model_info info{};
    info.struct_size = sizeof info;
    REQUIRE(ponder_model_get_info(tiny_.model.get(), &info, &err) == PONDER_OK);
    adapter_files_.emplace(info, 65);
    const auto files = adapter_files_->list();
    ponder_adapter* adapter = nullptr;
    REQUIRE(ponder_adapter_load_memory(tiny_.runtime.get(), tiny_.model.get(), files.data(), files.size(), &adapter, &err) == PONDER_OK);
    adapter_.reset(adapter);
    for (std::size_t i = 0; i < kRoom; ++i) {
      text_[i] = "[{\"role\":\"user\",\"content\":\"12+30\"}]\xff\0\xc3\x28<think>0123456789012345678901234567890"[i];
      ids_[i] = static_cast<std::int32_t>(48 + i % 10);
    }
  }

  // null: zero for every argument; else any value that its type may have.
  bool null = true;

  template <class R, class... Args>
  void call(const char* name, R(PONDER_CALL* function)(Args...) noexcept) {
    INFO("function " << name);
    std::memset(&err_, 0x55, sizeof err_);
    slots_ = Slots();
    asked_ = false;
    if constexpr (std::is_void_v<R>) {
      function(last_null<Args>()...);  // free and cancel
    } else {
      const R result = function(value<Args>()...);
      if constexpr (std::is_same_v<R, ponder_status> && sizeof...(Args) > 1) check(result);
      else (void)result;
    }
    release();
    ++n_calls;
  }
  int n_calls = 0, n_good = 0;

 private:
  const InFolder folder_;
  struct Slots {
    ponder_runtime* runtime = nullptr;
    ponder_model* model = nullptr;
    ponder_tokenizer* tokenizer = nullptr;
    ponder_template* chat = nullptr;
    ponder_session* session = nullptr;
    ponder_batch* batch = nullptr;
    ponder_adapter* adapter = nullptr;
    ponder_buffer* buffer = nullptr;
  };

  void check(ponder_status status) {
    CHECK(ponder_status_name(status) != std::string("unknown"));
    if (asked_) {
      CHECK((err_.code == status || status == PONDER_OK));  // of a batch: of its first session with an error
      CHECK((status >= 0 || err_.message[0] != '\0'));
      CHECK(std::memchr(err_.message, '\0', sizeof err_.message) != nullptr);
    }
    CHECK(status != PONDER_E_INTERNAL);
    if (null) CHECK(status == PONDER_E_INVALID_ARGUMENT);
    n_good += status >= 0;
    if (status < 0)
      CHECK((!slots_.runtime && !slots_.model && !slots_.tokenizer && !slots_.chat && !slots_.session && !slots_.batch && !slots_.adapter && !slots_.buffer));
  }
  void release() {
    ponder_runtime_free(slots_.runtime);
    ponder_model_free(slots_.model);
    ponder_tokenizer_free(slots_.tokenizer);
    ponder_template_free(slots_.chat);
    ponder_session_free(slots_.session);
    ponder_batch_free(slots_.batch);
    ponder_adapter_free(slots_.adapter);
    ponder_buffer_free(slots_.buffer);
  }

  std::uint32_t bits() {
    state_ = state_ * 1664525u + 1013904223u;
    return state_ >> 8;
  }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[bits() % values.size()];
  }
  template <class T>
  T last_null() { return nullptr; }

  // Structs with a size: right, NULL, 0, too small, odd, too large, unknown tail.
  template <class T>
  T* sized() {
    static_assert(sizeof(T) <= 1024);
    std::memset(bytes_, 0, sizeof bytes_);
    const std::uint32_t size = one_of<std::uint32_t>({sizeof(T), sizeof(T), sizeof(T), 0, 4, alignof(T), sizeof(T) + 1, 1024, 4096, 4100, UINT32_MAX});
    if (bits() % 8 == 0) bytes_[1020] = 1;
    std::memcpy(bytes_, &size, sizeof size);
    return bits() % 4 == 0 ? nullptr : reinterpret_cast<T*>(bytes_);
  }
  template <class T>
  T* maybe(T* pointer) { return bits() % 6 == 0 ? nullptr : pointer; }

  template <class T>
  T value() {
    if (null) return T{};
    if constexpr (std::is_same_v<T, ponder_error*>) {
      asked_ = bits() % 4 != 0;
      return asked_ ? &err_ : nullptr;
    } else if constexpr (std::is_same_v<T, std::size_t>) return one_of<std::size_t>({0, 1, 2, 7, 34, kRoom});
    else if constexpr (std::is_same_v<T, std::int32_t>) return one_of<std::int32_t>({0, 1, -1, 65, 260, 5000, INT_MIN, INT_MAX});
    else if constexpr (std::is_same_v<T, std::uint32_t>) return one_of<std::uint32_t>({0, 0, 1, 2, 3, 4, 0x80000000u, UINT32_MAX});
    else if constexpr (std::is_same_v<T, std::int64_t>) return one_of<std::int64_t>({0, 1, 1000, -1, INT64_MIN, INT64_MAX});
    else if constexpr (std::is_same_v<T, std::uint64_t>) return one_of<std::uint64_t>({0, 1, UINT64_MAX});
    else if constexpr (std::is_same_v<T, const char*>)
      return one_of<const char*>({nullptr, names_[0], text_, text_, names_[1], names_[2], names_[3], names_[4]});
    else if constexpr (std::is_same_v<T, ponder_runtime*> || std::is_same_v<T, const ponder_runtime*>) return maybe(tiny_.runtime.get());
    else if constexpr (std::is_same_v<T, ponder_model*> || std::is_same_v<T, const ponder_model*>) return maybe(tiny_.model.get());
    else if constexpr (std::is_same_v<T, const ponder_tokenizer*>) return maybe(tokenizer_.get());
    else if constexpr (std::is_same_v<T, const ponder_template*>) return maybe(template_.get());
    else if constexpr (std::is_same_v<T, ponder_session*> || std::is_same_v<T, const ponder_session*>) return maybe(session_.get());
    else if constexpr (std::is_same_v<T, ponder_runtime**>) return maybe(&slots_.runtime);
    else if constexpr (std::is_same_v<T, ponder_model**>) return maybe(&slots_.model);
    else if constexpr (std::is_same_v<T, ponder_tokenizer**>) return maybe(&slots_.tokenizer);
    else if constexpr (std::is_same_v<T, ponder_template**>) return maybe(&slots_.chat);
    else if constexpr (std::is_same_v<T, ponder_session**>) return maybe(&slots_.session);
    else if constexpr (std::is_same_v<T, ponder_batch*>) return maybe(batch_.get());
    else if constexpr (std::is_same_v<T, ponder_batch**>) return maybe(&slots_.batch);
    else if constexpr (std::is_same_v<T, const ponder_adapter*>) return maybe(adapter_.get());
    else if constexpr (std::is_same_v<T, ponder_adapter**>) return maybe(&slots_.adapter);
    else if constexpr (std::is_same_v<T, const ponder_adapter_use*>) {
      for (auto& use : uses_) use = {maybe(adapter_.get()), one_of<float>({0, 1, -2, NAN}), one_of<std::uint32_t>({0, 0, 0, 7})};
      return maybe(static_cast<const ponder_adapter_use*>(uses_));
    }
    else if constexpr (std::is_same_v<T, ponder_buffer**>) return maybe(&slots_.buffer);
    else if constexpr (std::is_same_v<T, ponder_session* const*>) {
      for (auto& session : list_) session = maybe(session_.get());
      return maybe(static_cast<ponder_session* const*>(list_));
    } else if constexpr (std::is_same_v<T, ponder_batch_event*>) {
      for (auto& event : batch_events_) event.struct_size = sizeof event;
      batch_events_[bits() % kRoom].struct_size = one_of<std::uint32_t>({sizeof(ponder_batch_event), sizeof(ponder_batch_event), 0, 7, 8192});
      return maybe(batch_events_);
    } else if constexpr (std::is_same_v<T, const ponder_text*>) {
      for (auto& text : texts_) text = {maybe(static_cast<const char*>(text_)), value<std::size_t>()};
      return maybe(static_cast<const ponder_text*>(texts_));
    } else if constexpr (std::is_same_v<T, const std::size_t*>) {
      std::fill(std::begin(lengths_), std::end(lengths_), std::size_t{1});  // no more ids than there are
      return maybe(static_cast<const std::size_t*>(lengths_));
    } else if constexpr (std::is_same_v<T, ponder_token_event*>) {
      for (auto& event : events_) event.struct_size = sizeof event;
      events_[bits() % kRoom].struct_size = one_of<std::uint32_t>({sizeof(ponder_token_event), sizeof(ponder_token_event), 0, 7, 8192});
      return maybe(events_);
    } else if constexpr (std::is_same_v<T, const std::int32_t*> || std::is_same_v<T, std::int32_t*>) return maybe(ids_copy());
    else if constexpr (std::is_same_v<T, float*>) return maybe(floats_);
    else if constexpr (std::is_same_v<T, std::size_t*>) return maybe(&size_);
    else if constexpr (std::is_same_v<T, std::uint32_t*>) return maybe(&flags_);
    else if constexpr (std::is_same_v<T, const char**>) return maybe(&bytes_out_);
    else if constexpr (std::is_same_v<T, ponder_logprob*>) return maybe(logprobs_);
    else if constexpr (std::is_same_v<T, const ponder_memory_file*>) {
      for (auto& file : files_) file = {one_of<const char*>({nullptr, "", "../x", "config.json", "tokenizer.json"}), maybe(text_), value<std::size_t>()};
      return maybe(static_cast<const ponder_memory_file*>(files_));
    } else if constexpr (std::is_pointer_v<T> && std::is_function_v<std::remove_pointer_t<T>>) return nullptr;
    else if constexpr (std::is_same_v<T, void*>) return nullptr;
    else if constexpr (std::is_same_v<T, const void*>) return maybe(static_cast<const void*>(text_));
    else if constexpr (std::is_same_v<T, const ponder_buffer*>) return nullptr;
    else return sized<std::remove_const_t<std::remove_pointer_t<T>>>();  // a struct that begins with struct_size
  }
  std::int32_t* ids_copy() {
    std::copy(std::begin(ids_), std::end(ids_), out_ids_);
    return out_ids_;
  }

  const Tiny tiny_;
  Session session_;
  Tokenizer tokenizer_;
  Template template_;
  std::unique_ptr<ponder_batch, Deleter<ponder_batch, ponder_batch_free>> batch_;
  std::optional<AdapterFiles> adapter_files_;  // outlive the adapter
  std::unique_ptr<ponder_adapter, Deleter<ponder_adapter, ponder_adapter_free>> adapter_;
  std::uint32_t state_;
  ponder_error err_;
  bool asked_ = false;
  Slots slots_;
  char text_[kRoom];
  const char names_[5][kRoom] = {"", "/nowhere/at/all", "\xff\xfe/nowhere", "bf16", "deepseek-r1"};
  std::int32_t ids_[kRoom], out_ids_[kRoom];
  float floats_[kRoom] = {};
  std::size_t size_ = 0;
  std::uint32_t flags_ = 0;
  const char* bytes_out_ = nullptr;
  ponder_logprob logprobs_[kRoom] = {};
  ponder_memory_file files_[kRoom] = {};
  ponder_session* list_[kRoom] = {};
  ponder_token_event events_[kRoom] = {};
  ponder_batch_event batch_events_[kRoom] = {};
  ponder_text texts_[kRoom] = {};
  ponder_adapter_use uses_[kRoom] = {};
  std::size_t lengths_[kRoom] = {};
  alignas(16) unsigned char bytes_[4112] = {};

 public:
  void every_function() {
    F(ponder_status_name), F(ponder_version), F(ponder_abi_version), F(ponder_buffer_data), F(ponder_buffer_size);
    F(ponder_buffer_free), F(ponder_runtime_create), F(ponder_runtime_free), F(ponder_runtime_isa), F(ponder_runtime_threads);
    F(ponder_runtime_memory), F(ponder_selftest);
    F(ponder_model_list), F(ponder_model_resolve), F(ponder_model_load), F(ponder_model_load_memory), F(ponder_model_random);
    F(ponder_model_free), F(ponder_model_get_info), F(ponder_model_eos_ids), F(ponder_model_plan), F(ponder_inspect);
    F(ponder_inspect_files), F(ponder_inspect_memory), F(ponder_model_load_report), F(ponder_model_tokenizer);
    F(ponder_model_template), F(ponder_model_generate_params), F(ponder_quantize), F(ponder_imatrix);
    F(ponder_tokenizer_load), F(ponder_tokenizer_load_files), F(ponder_tokenizer_free), F(ponder_tokenizer_get_info);
    F(ponder_tokenizer_encode), F(ponder_tokenizer_decode), F(ponder_tokenizer_find), F(ponder_tokenizer_token);
    F(ponder_template_load), F(ponder_template_load_files), F(ponder_template_builtin), F(ponder_template_free);
    F(ponder_template_render);
    F(ponder_session_create), F(ponder_session_free), F(ponder_session_set_params), F(ponder_session_get_params);
    F(ponder_session_prompt_chat), F(ponder_session_prompt), F(ponder_session_prompt_text), F(ponder_session_prompt_ids);
    F(ponder_session_append_ids), F(ponder_session_chat_ids), F(ponder_session_next), F(ponder_session_step);
    F(ponder_session_next_batch), F(ponder_session_generate), F(ponder_session_cancel), F(ponder_session_finish_reason);
    F(ponder_session_next_channel), F(ponder_session_fork), F(ponder_session_rewind), F(ponder_session_save);
    F(ponder_session_save_file), F(ponder_session_restore), F(ponder_session_restore_file), F(ponder_session_tokens);
    F(ponder_session_logits), F(ponder_session_top_logprobs), F(ponder_session_prompt_logprobs);
    F(ponder_session_get_stats), F(ponder_session_evaluate), F(ponder_session_embed_texts), F(ponder_session_embed_ids);
    F(ponder_batch_create), F(ponder_batch_free), F(ponder_batch_add), F(ponder_batch_set_priority), F(ponder_batch_set_paused);
    F(ponder_batch_next), F(ponder_batch_step), F(ponder_batch_remove);
    F(ponder_adapter_load), F(ponder_adapter_load_memory), F(ponder_adapter_free), F(ponder_adapter_get_info);
    F(ponder_session_set_adapters), F(ponder_session_set_reasoning), F(ponder_session_stop_thinking), F(ponder_session_vote);
    F(ponder_session_best_of);
    F(ponder_session_set_grammar);
  }
  std::string answer() {
    prompt(session_.get());
    return generate(session_.get()).answer;
  }
};

}  // namespace

TEST_CASE("every function refuses NULL and 0 in every argument") {
  Caller caller(1);
  caller.every_function();
  CHECK(caller.n_calls > 60);
}

TEST_CASE("every function returns from garbage arguments, with a status and a message") {
  Caller caller(2);
  caller.null = false;
  for (int i = 0; i < 40; ++i) caller.every_function();
  CHECK(caller.n_good > 100);
  CHECK(caller.answer().size() > 0);
}

// Names without a comma: doctest's CMake script finds no label for others.
TEST_SUITE("full") {
  TEST_CASE("every function returns from garbage arguments for long") {
    for (std::uint32_t seed = 3; seed < 9; ++seed) {
      Caller caller(seed);
      caller.null = false;
      for (int i = 0; i < 200; ++i) caller.every_function();
      CHECK(caller.n_good > 100);
    }
  }
}
