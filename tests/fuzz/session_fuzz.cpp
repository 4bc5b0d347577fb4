// Saved sessions from arbitrary bytes, into a session of a tiny model: a status, or a session that goes on. The checksum
// is set right, so that the fuzzer comes to what it protects, unless the first byte is 1.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/io/file_source.h"
#include "lib/model/loader.h"
#include "lib/session/session.h"

namespace {

using namespace ponder::core;

std::unique_ptr<Session> make_session() {
  auto runtime = std::make_shared<Runtime>();
  runtime->kernels = ponder::kernels::make_table(ponder::kernels::Isa::ref);
  runtime->pool = std::shared_ptr<ThreadPool>(ThreadPool::create(1).value());
  auto model = Model::load(folder_source(PONDER_TEST_DATA "/models/v3-odd-tiny"), {});
  if (!model.ok()) __builtin_trap();
  return std::move(Session::create(runtime, *model, {.context_length = 64})).value();
}

// A saved session with some of everything, for the first corpus.
std::string seed() {
  auto session = make_session();
  GenerateParams params;
  params.sampling.temperature = 1;
  params.sampling.logit_bias = {{3, 1.0f}};
  params.stop_ids = {5, 6};
  if (!session->set_generate_params(params).ok()) __builtin_trap();
  const TokenId ids[] = {1, 2, 3};
  TokenEvent event;
  if (!session->prompt_ids(ids).ok() || !session->next(event).ok()) __builtin_trap();
  return session->save().value();
}

void seal(std::string& saved) {
  if (saved.size() < 40) return;
  const std::uint64_t body = saved.size() - 40;
  for (std::size_t i = 0; i < 8; ++i) saved[24 + i] = static_cast<char>(body >> (8 * i));
  Fingerprint hash;
  hash.add(std::string_view(saved).substr(0, saved.size() - 8));
  for (std::size_t i = 0; i < 8; ++i) saved[saved.size() - 8 + i] = static_cast<char>(hash.value() >> (8 * i));
}

}  // namespace

// Bytes that replace those of a valid file: u16 little-endian place, u8 count, then as many bytes, over and over; or, when
// the first byte is 0, the file itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string valid = seed();
  static const std::unique_ptr<Session> session = make_session();
  if (size == 0) return 0;
  std::string saved;
  if (data[0] == 0) {
    saved.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  } else {
    saved = valid;
    for (std::size_t i = 1; i + 3 <= size;) {
      const std::size_t at = data[i] + 256u * data[i + 1], n = std::min<std::size_t>(data[i + 2], size - i - 3);
      for (std::size_t k = 0; k < n && at + k < saved.size(); ++k) saved[at + k] = static_cast<char>(data[i + 3 + k]);
      i += 3 + n;
    }
    if (size % 16 == 0) saved.resize(saved.size() - std::min<std::size_t>(saved.size(), data[size - 1]));
  }
  if (data[0] != 1) seal(saved);

  const std::vector<TokenId> before(session->tokens().begin(), session->tokens().end());
  const Status status = session->restore(saved);
  if (!status.ok()) {
    if (status.message().empty() || !std::equal(before.begin(), before.end(), session->tokens().begin())) __builtin_trap();
    return 0;
  }
  TokenEvent event;
  for (int i = 0; i < 2; ++i) (void)session->next(event).ok();
  (void)session->rewind(session->tokens().size() / 2).ok();
  (void)session->next(event).ok();
  if (!session->fork().ok() || !session->save().ok()) __builtin_trap();
  return 0;
}
