// The shared library loaded by hand, as plug-ins do: a hundred times over, and two copies of it in one process. The program
// does not link it.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "ponder/ponder.h"
#include "tests/capi/process_memory.h"
#include "tests/lib/io/temporary_folder.h"

namespace {

using ponder::test::heap_bytes;
using ponder::test::resident_bytes;

// One load of a library file and the functions that a plug-in would look up.
class Library {
 public:
  explicit Library(const std::filesystem::path& path) : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    REQUIRE_MESSAGE(handle_ != nullptr, dlerror());
  }
  ~Library() { CHECK(dlclose(handle_) == 0); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  template <class F>
  F* find(const char* name) const {
    void* const symbol = dlsym(handle_, name);
    REQUIRE_MESSAGE(symbol != nullptr, name);
    return reinterpret_cast<F*>(symbol);
  }

 private:
  void* handle_;
};
// Only the type of the function is taken: the program must not refer to the function itself, which it does not link.
#define FIND(library, name) (library).find<decltype(name)>(#name)

const std::string kTiny = PONDER_MODELS "/ponder-tiny-r1";

// Starts a runtime, answers, frees all.
std::string answer(const Library& library, int n_threads, std::int32_t max_tokens = 0) {
  ponder_runtime_params params = ponder_runtime_params_default();
  params.n_threads = n_threads;
  ponder_runtime* runtime = nullptr;
  ponder_model* model = nullptr;
  ponder_session* session = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(FIND(library, ponder_runtime_create)(&params, &runtime, &err) == PONDER_OK, err.message);
  REQUIRE_MESSAGE(FIND(library, ponder_model_load)(runtime, kTiny.c_str(), nullptr, &model, &err) == PONDER_OK, err.message);
  REQUIRE_MESSAGE(FIND(library, ponder_session_create)(runtime, model, nullptr, &session, &err) == PONDER_OK, err.message);
  std::vector<std::int32_t> ids{256, 258};
  for (unsigned char c : std::string("What is 347+85?")) ids.push_back(c);
  ids.insert(ids.end(), {259, 260, 10});
  CHECK(FIND(library, ponder_session_prompt_ids)(session, ids.data(), ids.size(), nullptr, nullptr, &err) == PONDER_OK);
  std::string text;
  ponder_token_event event{};
  event.struct_size = sizeof event;
  auto* const next = FIND(library, ponder_session_next);
  for (std::int32_t n = 0; (max_tokens == 0 || n < max_tokens) && next(session, &event, &err) == PONDER_OK; ++n)
    if (event.channel == PONDER_CHANNEL_ANSWER) text.append(event.text, event.text_len);
  FIND(library, ponder_session_free)(session);
  FIND(library, ponder_model_free)(model);
  FIND(library, ponder_runtime_free)(runtime);
  return text;
}

std::size_t n_threads_of_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}
bool is_mapped(const std::filesystem::path& path) {
  std::ifstream in("/proc/self/maps");
  for (std::string line; std::getline(in, line);)
    if (line.find(path.string()) != line.npos) return true;
  return false;
}
#if defined(PONDER_SANITIZED_BUILD)
constexpr bool kSanitized = true;  // sanitizers keep what they know of a library
#else
constexpr bool kSanitized = false;
#endif

}  // namespace

TEST_CASE("two copies of the library in one process do not meet") {
  const ponder::test::TemporaryFolder folder;
  for (const char* name : {"first.so", "second.so"}) std::filesystem::copy_file(PONDER_LIBRARY, folder.path() / name);
  const Library first(folder.path() / "first.so");
  std::string second_answer;
  {
    const Library second(folder.path() / "second.so");
    CHECK((FIND(first, ponder_runtime_create) != FIND(second, ponder_runtime_create)));
    std::thread other([&] { second_answer = answer(second, 2); });
    CHECK(answer(first, 2) == "\\boxed{432}");
    other.join();
    CHECK(second_answer == "\\boxed{432}");
  }
  CHECK(answer(first, 2) == "\\boxed{432}");  // one left, the other works on
}

TEST_CASE("the library comes and goes a hundred times: nothing stays mapped, no thread, no memory") {
  const ponder::test::TemporaryFolder folder;
  const std::filesystem::path copy = folder.path() / "plugin.so";
  std::filesystem::copy_file(PONDER_LIBRARY, copy);
  const std::size_t n_threads = n_threads_of_process();
  std::size_t settled = 0, settled_heap = 0;
  for (int i = 0; i < 100; ++i) {
    {
      const Library library(copy);
      answer(library, 1 + i % 3, 2);
    }
    REQUIRE(n_threads_of_process() == n_threads);
    if (i == 20) settled = resident_bytes(), settled_heap = heap_bytes();
  }
  if (kSanitized) return;
  CHECK_FALSE(is_mapped(copy));
  // 79 rounds that each forget an object show here (threads' caches of freed memory count, some KiB in all); what the allocator and the kernel keep (arenas, pages of
  // 2 MiB) differs from run to run, and would be more than the library's 4 MiB a round if that stayed.
  CHECK_MESSAGE(heap_bytes() < settled_heap + 16384, (heap_bytes() - settled_heap) << " bytes of heap more");
  CHECK_MESSAGE(resident_bytes() < settled + (16u << 20), (resident_bytes() - settled) << " bytes more");
}
