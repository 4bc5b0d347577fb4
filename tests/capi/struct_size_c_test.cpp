// Callers that were compiled with an older or a newer ponder.h, for every struct that begins with struct_size. A test in
// tests/abi looks that all of the header's are here.
#include <cstring>
#include <functional>

#include "tests/capi/adapter_files.h"

using namespace capi_test;

namespace {

constexpr std::size_t kMost = 4096;

// A struct of the caller's, in memory with guards: `size` bytes count, and what is behind them must stay.
struct Caller {
  alignas(16) unsigned char bytes[kMost + 64];
  template <class T>
  T* as() { return reinterpret_cast<T*>(bytes); }
  void set(std::uint32_t size, unsigned char fill) {
    std::memset(bytes, fill, sizeof bytes);
    std::memcpy(bytes, &size, sizeof size);
  }
};

using Call = std::function<ponder_status(Caller&, ponder_error&)>;

void check_sizes(const char* type, std::size_t known, std::size_t alignment, const Call& call) {
  Caller caller;
  ponder_error err;
  for (const std::size_t size : {std::size_t{0}, std::size_t{2}, known + 1, known + alignment / 2, kMost + alignment, std::size_t{UINT32_MAX}}) {
    caller.set(static_cast<std::uint32_t>(size), 0);
    check_error(call(caller, err), err, PONDER_E_INVALID_ARGUMENT, {type, "struct_size"});
  }
}

// `call` takes the struct as input; all zeros mean the default.
template <class T>
void input(const char* type, const Call& call) {
  INFO("type " << type);
  Caller caller;
  ponder_error err;
  check_sizes(type, sizeof(T), alignof(T), call);
  for (std::size_t size = alignof(T); size <= sizeof(T); size += alignof(T)) {  // older: what is behind reads as zero
    CAPTURE(size);
    caller.set(static_cast<std::uint32_t>(size), 0xee);
    std::memset(caller.bytes + 4, 0, size - 4);
    CHECK_MESSAGE(call(caller, err) >= 0, err.message);
  }
  for (const std::size_t size : {sizeof(T) + alignof(T), std::size_t{512}, kMost}) {  // newer
    CAPTURE(size);
    caller.set(static_cast<std::uint32_t>(size), 0xee);
    std::memset(caller.bytes + 4, 0, size - 4);
    CHECK_MESSAGE(call(caller, err) >= 0, err.message);
    for (const std::size_t at : {sizeof(T), size - 1}) {
      caller.bytes[at] = 1;
      check_error(call(caller, err), err, PONDER_E_UNSUPPORTED, {type, std::to_string(size)});
      caller.bytes[at] = 0;
    }
  }
}

// `call` fills the struct.
template <class T>
void output(const char* type, const Call& call) {
  INFO("type " << type);
  Caller caller;
  ponder_error err;
  check_sizes(type, sizeof(T), alignof(T), call);
  caller.set(sizeof(T), 0xee);
  REQUIRE_MESSAGE(call(caller, err) == PONDER_OK, err.message);
  const T whole = *caller.as<T>();
  for (std::size_t size = alignof(T); size <= kMost; size = size < sizeof(T) + 16 ? size + alignof(T) : size + 1000 / alignof(T) * alignof(T)) {
    CAPTURE(size);
    caller.set(static_cast<std::uint32_t>(size), 0xee);
    REQUIRE_MESSAGE(call(caller, err) == PONDER_OK, err.message);
    CHECK(caller.as<T>()->struct_size == size);
    CHECK(std::memcmp(caller.bytes + 4, reinterpret_cast<const unsigned char*>(&whole) + 4, std::min(size, sizeof(T)) - 4) == 0);
    for (std::size_t at = sizeof(T); at < size; ++at) REQUIRE(caller.bytes[at] == 0);  // a newer caller's fields
    for (std::size_t at = size; at < size + 64; ++at) REQUIRE(caller.bytes[at] == 0xee);
  }
}

}  // namespace

TEST_CASE("callers with older and newer structs are served, and no byte behind theirs is touched") {
  const Tiny tiny;
  ponder_session_params exact = ponder_session_params_default();
  exact.compute = PONDER_COMPUTE_EXACT;  // the same bits each time
  const Session owner = tiny.session(exact);
  ponder_session* const session = owner.get();
  prompt(session);
  ponder_tokenizer* handle = nullptr;
  REQUIRE(ponder_model_tokenizer(tiny.model.get(), &handle, nullptr) == PONDER_OK);
  const Tokenizer tokenizer(handle);

  input<ponder_runtime_params>("ponder_runtime_params", [](Caller& c, ponder_error& err) {
    ponder_runtime* out = nullptr;
    const ponder_status status = ponder_runtime_create(c.as<ponder_runtime_params>(), &out, &err);
    ponder_runtime_free(out);
    return status;
  });
  input<ponder_model_params>("ponder_model_params", [&](Caller& c, ponder_error& err) {
    ponder_model* out = nullptr;
    const ponder_status status = ponder_model_load(tiny.runtime.get(), kTiny.c_str(), c.as<ponder_model_params>(), &out, &err);
    ponder_model_free(out);
    return status;
  });
  input<ponder_session_params>("ponder_session_params", [&](Caller& c, ponder_error& err) {
    ponder_session* out = nullptr;
    const ponder_status status =
        ponder_session_create(tiny.runtime.get(), tiny.model.get(), c.as<ponder_session_params>(), &out, &err);
    ponder_session_free(out);
    return status;
  });
  input<ponder_generate_params>("ponder_generate_params", [&](Caller& c, ponder_error& err) {
    return ponder_session_set_params(session, c.as<ponder_generate_params>(), &err);
  });
  input<ponder_reasoning_params>("ponder_reasoning_params", [&](Caller& c, ponder_error& err) {
    return ponder_session_set_reasoning(session, c.as<ponder_reasoning_params>(), &err);
  });
  input<ponder_samples_params>("ponder_samples_params", [&](Caller& c, ponder_error& err) {  // not prompted: refused after its params
    const ponder_status status = ponder_session_vote(session, c.as<ponder_samples_params>(), nullptr, &err);
    return status == PONDER_E_STATE ? PONDER_OK : status;
  });
  input<ponder_batch_params>("ponder_batch_params", [&](Caller& c, ponder_error& err) {
    ponder_batch* out = nullptr;
    const ponder_status status =
        ponder_batch_create(tiny.runtime.get(), tiny.model.get(), c.as<ponder_batch_params>(), &out, &err);
    ponder_batch_free(out);
    return status;
  });
  // These two get no further than their other arguments, which are wrong.
  input<ponder_quantize_params>("ponder_quantize_params", [&](Caller& c, ponder_error& err) {
    const ponder_status status =
        ponder_quantize(tiny.runtime.get(), "/nowhere", "/nowhere/x", c.as<ponder_quantize_params>(), nullptr, &err);
    return status == PONDER_E_NOT_FOUND ? PONDER_OK : status;
  });
  input<ponder_imatrix_params>("ponder_imatrix_params", [&](Caller& c, ponder_error& err) {
    const ponder_status status = ponder_imatrix(tiny.runtime.get(), tiny.model.get(), "x", 1, "/nowhere/x",
                                                c.as<ponder_imatrix_params>(), nullptr, &err);
    return status == PONDER_E_NOT_FOUND || status == PONDER_E_IO ? PONDER_OK : status;
  });
  input<ponder_file_system>("ponder_file_system", [&](Caller& c, ponder_error& err) {  // no functions: the default is refused
    ponder_tokenizer* out = nullptr;
    const ponder_status status = ponder_tokenizer_load_files(c.as<ponder_file_system>(), "x", &out, &err);
    return std::string_view(err.message) == "ponder_file_system.open must not be NULL" ? PONDER_OK : status;
  });

  output<ponder_memory_info>("ponder_memory_info", [&](Caller& c, ponder_error& err) {
    return ponder_runtime_memory(tiny.runtime.get(), c.as<ponder_memory_info>(), &err);
  });
  output<ponder_model_info>("ponder_model_info", [&](Caller& c, ponder_error& err) {
    return ponder_model_get_info(tiny.model.get(), c.as<ponder_model_info>(), &err);
  });
  output<ponder_memory_plan>("ponder_memory_plan", [&](Caller& c, ponder_error& err) {
    return ponder_model_plan(tiny.model.get(), nullptr, c.as<ponder_memory_plan>(), &err);
  });
  output<ponder_tokenizer_info>("ponder_tokenizer_info", [&](Caller& c, ponder_error& err) {
    return ponder_tokenizer_get_info(tokenizer.get(), c.as<ponder_tokenizer_info>(), &err);
  });
  output<ponder_generate_params>("ponder_generate_params", [&](Caller& c, ponder_error& err) {
    return ponder_model_generate_params(tiny.model.get(), c.as<ponder_generate_params>(), &err);
  });
  output<ponder_session_stats>("ponder_session_stats", [&](Caller& c, ponder_error& err) {
    return ponder_session_get_stats(session, c.as<ponder_session_stats>(), &err);
  });
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(tiny.model.get(), &info, nullptr) == PONDER_OK);
  const AdapterFiles files(info, 65);
  const auto list = files.list();
  ponder_adapter* adapter = nullptr;
  REQUIRE(ponder_adapter_load_memory(tiny.runtime.get(), tiny.model.get(), list.data(), list.size(), &adapter, nullptr) == PONDER_OK);
  output<ponder_adapter_info>("ponder_adapter_info", [&](Caller& c, ponder_error& err) {
    return ponder_adapter_get_info(adapter, c.as<ponder_adapter_info>(), &err);
  });
  ponder_adapter_free(adapter);
  ponder_batch* batch = nullptr;
  REQUIRE(ponder_batch_create(tiny.runtime.get(), tiny.model.get(), nullptr, &batch, nullptr) == PONDER_OK);
  const std::unique_ptr<ponder_batch, Deleter<ponder_batch, ponder_batch_free>> batch_owner(batch);
  REQUIRE(ponder_batch_add(batch, session, 0, nullptr) == PONDER_OK);
  output<ponder_batch_event>("ponder_batch_event", [&](Caller& c, ponder_error& err) {
    prompt(session);
    std::size_t n = 0;
    return ponder_batch_next(batch, c.as<ponder_batch_event>(), 1, &n, &err);
  });
  // Each call makes another event: begun again every time.
  output<ponder_token_event>("ponder_token_event", [&](Caller& c, ponder_error& err) {
    prompt(session);
    return ponder_session_next(session, c.as<ponder_token_event>(), &err);
  });
}
