// ponder.h and ponder.hpp in C++20, with and without exceptions (CMakeLists.txt compiles this file both ways); every
// function promises noexcept.
#include "ponder/ponder.hpp"

static_assert(noexcept(ponder_version()));
static_assert(noexcept(ponder_session_next(nullptr, nullptr, nullptr)));
static_assert(noexcept(ponder_runtime_create(nullptr, nullptr, nullptr)));

// Instantiates the templates that a host would.
#if PONDER_HPP_EXCEPTIONS
#define PONDER_TEST_NAME with_exceptions
#else
#define PONDER_TEST_NAME without_exceptions
#endif
int PONDER_TEST_NAME(const char* path) {
  ponder::Result<ponder::Model> model = ponder::Model::load(path);
  if (!model) return model.error().code();
  ponder::Result<ponder::Session> session = model->session({.context_length = 64});
  if (!session) return session.error().code();
  (void)session->generate("1+1", [](std::string_view text) { return text.empty(); });
  return session.value().finish_reason();
}
