#include <filesystem>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

TEST_CASE("C: a prompt cache is a field of a session's params, and is found by another session") {
  const Tiny tiny;
  const std::string folder = (std::filesystem::temp_directory_path() / ("ponder-capi-cache-" + std::to_string(reinterpret_cast<std::uintptr_t>(&tiny)))).string();
  std::filesystem::remove_all(folder);
  ponder_session_params params = ponder_session_params_default();
  params.prompt_cache = folder.c_str();
  params.prompt_cache_min_tokens = 4;
  params.compute = PONDER_COMPUTE_EXACT;
  for (const std::int64_t reused : {0, 19}) {
    const Session session = tiny.session(params);
    prompt(session.get());
    ponder_session_stats stats{};
    stats.struct_size = sizeof stats;
    REQUIRE(ponder_session_get_stats(session.get(), &stats, nullptr) == PONDER_OK);
    CHECK(stats.reused_tokens == reused);
    CHECK(generate(session.get()).answer == "\\boxed{432}");
  }
  std::filesystem::remove_all(folder);
  ponder_session* none = nullptr;
  ponder_error err;
  const auto refused = [&](const ponder_session_params& wrong, std::string_view text) {
    check_error(ponder_session_create(tiny.runtime.get(), tiny.model.get(), &wrong, &none, &err), err, PONDER_E_INVALID_ARGUMENT, {text});
  };
  ponder_session_params wrong = ponder_session_params_default();
  wrong.prompt_cache_bytes = -1;
  refused(wrong, "prompt_cache_bytes");
  wrong = ponder_session_params_default();
  wrong.prompt_cache_min_tokens = -1;
  refused(wrong, "prompt_cache_min_tokens");
  wrong = ponder_session_params_default();
  wrong.reserved = 1;
  refused(wrong, "reserved");
}
