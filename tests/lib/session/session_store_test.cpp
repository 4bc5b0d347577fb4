#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "lib/model/loader.h"
#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

std::unique_ptr<Session> thinking_session() {
  auto session = test_session({.context_length = 100});
  GenerateParams params;
  params.sampling.temperature = 3.0f;
  params.sampling.seed = 5;
  params.sampling.logit_bias = {{50, 0.5f}};
  params.stop = {"boxed{0"};
  params.stop_ids = {200};
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  read_reply(*session, 7);
  return session;
}

// The checksum set right again, as one who means harm would.
void seal(std::string& saved) {
  Fingerprint hash;
  hash.add(std::string_view(saved).substr(0, saved.size() - 8));
  for (std::size_t i = 0; i < 8; ++i) saved[saved.size() - 8 + i] = static_cast<char>(hash.value() >> (8 * i));
}

// A folder of this test's own, gone with it.
struct TempFolder {
  std::filesystem::path path;
  explicit TempFolder(const char* name) : path(std::filesystem::temp_directory_path() / (std::string("ponder-") + name)) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TempFolder() { std::filesystem::remove_all(path); }
};

std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("saved session: restored in the middle of thinking it goes on as if nothing had happened") {
  auto session = thinking_session();
  CHECK(session->channel() == Channel::thinking);
  const std::string saved = session->save().value();
  const Reply want = read_reply(*session);
  auto other = test_session({.context_length = 100});
  ask(*other, "52-17");  // what it held before is forgotten
  REQUIRE_MESSAGE(other->restore(saved).ok(), other->restore(saved).message());
  CHECK(other->channel() == Channel::thinking);
  const Reply got = read_reply(*other, want.ids.size());
  CHECK(got.ids == want.ids);
  CHECK(got.thinking == want.thinking);
  CHECK(got.answer == want.answer);
}

TEST_CASE("saved session: one that is finished, deferred or empty") {
  auto session = test_session();
  const std::string empty = session->save().value();
  ask(*session, "What is 347+85?");
  read_reply(*session);
  const std::string finished = session->save().value();
  REQUIRE(session->restore(empty).ok());
  CHECK(session->tokens().empty());
  REQUIRE(session->restore(finished).ok());
  CHECK(session->finish_reason() == FinishReason::stop);
  TokenEvent event;
  CHECK(session->next(event).code() == Code::end);
  auto deferred = test_session({.defer_prefill = true});
  ask(*deferred, "What is 347+85?");
  REQUIRE(session->restore(deferred->save().value()).ok());
  CHECK(read_reply(*session).answer == "\\boxed{432}");
}

TEST_CASE("saved session: in the middle of forcing the end of thinking") {
  auto session = test_session();
  GenerateParams params;
  params.think_budget = 4;
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  read_reply(*session, 5);
  const std::string saved = session->save().value();
  const Reply want = read_reply(*session, 30);
  auto other = test_session();
  REQUIRE(other->restore(saved).ok());
  CHECK(read_reply(*other, 30).ids == want.ids);
  CHECK(other->stats().forced_tokens == session->stats().forced_tokens);
}

TEST_CASE("saved session: every truncation and every flipped bit is refused and changes nothing") {
  auto session = thinking_session();
  const std::string saved = session->save().value();
  auto other = test_session({.context_length = 100});
  ask(*other, "What is 347+85?");
  const std::vector<TokenId> before(other->tokens().begin(), other->tokens().end());
  for (std::size_t n = 0; n < saved.size(); n += n < 1000 ? 1 : 97)
    CHECK(!other->restore(std::string_view(saved).substr(0, n)).ok());
  std::string damaged = saved;
  for (std::size_t bit = 0; bit < saved.size() * 8; bit += bit < 16'000 ? 1 : 1001) {
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    CHECK(!other->restore(damaged).ok());
    damaged[bit / 8] = saved[bit / 8];
  }
  CHECK(!other->restore(saved + "x").ok());
  CHECK(std::vector<TokenId>(other->tokens().begin(), other->tokens().end()) == before);
  CHECK(read_reply(*other).answer == "\\boxed{432}");
}

TEST_CASE("saved session: another model, a smaller context and another cache type are named") {
  auto session = thinking_session();
  const std::string saved = session->save().value();
  auto loaded = Model::load(folder_source(std::string(PONDER_TEST_DATA) + "/models/v2lite-tiny"), {});
  REQUIRE(loaded.ok());
  auto other_model = std::move(Session::create(test_runtime(), *loaded, {})).value();
  CHECK(other_model->restore(saved).message().find("another model") != std::string::npos);
  auto small = test_session({.context_length = 22});
  CHECK(small->restore(saved).code() == Code::context_full);
  auto half = test_session({.kv_type = DType::f16});
  CHECK(half->restore(saved).message().find("kv_type") != std::string::npos);
}

TEST_CASE("saved session: damage that the checksum does not show is a status or a session that works") {
  auto session = thinking_session();
  const std::string saved = session->save().value();
  auto other = test_session({.context_length = 100});
  std::mt19937 random(1);
  const std::size_t head = 900;  // everything but cached rows and logits
  REQUIRE(saved.size() > 32 + head);
  int n_accepted = 0;
  for (int repeat = 0; repeat < 4000; ++repeat) {
    std::string damaged = saved;
    const std::size_t at = 32 + random() % head;
    const char values[] = {0, 1, 0x7f, static_cast<char>(0x80), static_cast<char>(0xff), static_cast<char>(random())};
    const std::size_t n = random() % 3 ? 1 : 8;
    for (std::size_t i = 0; i < n; ++i) damaged[at + i] = values[random() % 6];
    seal(damaged);
    const std::vector<TokenId> before(other->tokens().begin(), other->tokens().end());
    const Status status = other->restore(damaged);
    if (status.ok()) {
      ++n_accepted;
      read_reply(*other, 3);
      CHECK(other->save().ok());
    } else {
      CHECK(!status.message().empty());
      CHECK(std::equal(before.begin(), before.end(), other->tokens().begin(), other->tokens().end()));
    }
  }
  CHECK(n_accepted > 100);  // token ids, for one, may be any
  CHECK(n_accepted < 3900);
}

TEST_CASE("saved session: any bits in the cached rows of any type give a reply or a status") {
  for (DType type : {DType::f16, DType::q8_0, DType::f8_e4m3}) {
    auto session = test_session({.compute = Compute::fast, .kv_type = type});
    ask(*session, "What is 347+85?");
    read_reply(*session, 4);
    const std::string saved = session->save().value();
    const std::size_t row_bytes = session->tokens().size() * 64;  // less than what the cache holds, at the end of the file
    std::mt19937 random(2);
    auto other = test_session({.compute = Compute::fast, .kv_type = type});
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::string damaged = saved;
      for (int i = 0; i < 1 << repeat % 10; ++i)
        damaged[damaged.size() - 9 - random() % row_bytes] = repeat % 2 ? static_cast<char>(random()) : static_cast<char>(0x7f);
      seal(damaged);
      REQUIRE(other->restore(damaged).ok());
      TokenEvent event;
      for (int i = 0; i < 3; ++i) {
        const Status status = other->next(event);
        if (status.ok()) CHECK((event.id >= 0 && event.id < 264));
        else CHECK((status.code() == Code::numeric || status.code() == Code::end));
      }
    }
  }
}

TEST_CASE("saved session: counts, text and flags out of range are refused") {
  auto session = thinking_session();
  std::string saved = session->save().value();
  const std::size_t n_tokens = session->tokens().size();
  // n_layers, row_elements, type, n_cached, n_tokens; ids; infos.
  const std::size_t n_prompt_at = 32 + 8 + 8 + 4 + 8 + 8 + 5 * n_tokens;
  const auto refused_with = [&](std::size_t at, std::uint64_t value, std::size_t n_bytes) {
    std::string damaged = saved;
    for (std::size_t i = 0; i < n_bytes; ++i) damaged[at + i] = static_cast<char>(value >> (8 * i));
    seal(damaged);
    auto other = test_session();
    return other->restore(damaged).code() == Code::bad_file;
  };
  CHECK(!refused_with(n_prompt_at, 20, 8));  // what it is
  CHECK(refused_with(n_prompt_at, n_tokens + 1, 8));
  CHECK(refused_with(n_prompt_at + 8, 0x7fffffffffffffff, 8));   // n_generated
  CHECK(refused_with(n_prompt_at + 8, 0xffffffffffffffff, 8));
  CHECK(refused_with(n_prompt_at + 16, 2, 4));                   // channel
  CHECK(refused_with(n_prompt_at + 20, 100, 8));                 // tokens still to be forced
  CHECK(refused_with(n_prompt_at + 30, 6, 4));                   // finish reason
  CHECK(refused_with(n_prompt_at + 34 + 16, 0x8000000000000000, 8));  // thinking tokens
}

TEST_CASE("saved session: a file is what save gives, and restores") {
  const TempFolder folder("session-file");
  const std::filesystem::path path = folder.path / "chat.session";
  auto session = thinking_session();
  REQUIRE(session->save_file(path).ok());
  CHECK(file_text(path) == session->save().value());
  auto other = test_session();
  const Status status = other->restore_file(path);
  REQUIRE_MESSAGE(status.ok(), status.message());
  CHECK(read_reply(*other).ids == read_reply(*session).ids);
}

TEST_CASE("saved session: a file that cannot be written leaves the old one and names the path") {
  const TempFolder folder("session-refused");
  auto session = thinking_session();
  const Status status = session->save_file(folder.path / "missing" / "chat.session");
  CHECK(!status.ok());
  CHECK(status.message().find("chat.session") != std::string::npos);
  REQUIRE(session->save_file(folder.path / "chat.session").ok());
  read_reply(*session, 1);
  REQUIRE(session->save_file(folder.path / "chat.session").ok());  // replaced
  CHECK(file_text(folder.path / "chat.session") == session->save().value());
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);  // nothing temporary is left
}

TEST_CASE("saved session: a file that is missing, a folder, empty or cut is refused by name") {
  const TempFolder folder("session-broken");
  auto session = thinking_session();
  const std::vector<TokenId> before(session->tokens().begin(), session->tokens().end());
  const auto message = [&](const std::filesystem::path& path) {
    const Status status = session->restore_file(path);
    CHECK(!status.ok());
    CHECK(status.message().find(path.filename().string()) != std::string::npos);
    return status.code();
  };
  CHECK(message(folder.path / "missing") == Code::not_found);
  message(folder.path);
  std::ofstream(folder.path / "empty").close();
  CHECK(message(folder.path / "empty") == Code::bad_file);
  std::ofstream(folder.path / "cut", std::ios::binary) << session->save().value().substr(0, 700);
  CHECK(message(folder.path / "cut") == Code::bad_file);
  std::ofstream(folder.path / "other", std::ios::binary) << std::string(700, 'x');
  CHECK(message(folder.path / "other") == Code::bad_file);
  CHECK(std::equal(before.begin(), before.end(), session->tokens().begin(), session->tokens().end()));
}

TEST_CASE("saved session: settings come back with it, the host's own do not") {
  auto session = test_session();
  GenerateParams params;
  params.sampling.temperature = 0.7f;
  params.sampling.top_k = 5;
  params.sampling.mirostat = 2;
  params.sampling.mirostat_tau = 3;
  params.sampling.dry_multiplier = 0.8f;
  params.sampling.logit_bias = {{3, -1.5f}, {4, -std::numeric_limits<float>::infinity()}};
  params.sampling.seed = 99;
  params.stop = {"a", "bc"};
  params.stop_ids = {7, 8};
  params.max_new_tokens = 77;
  params.think_budget = 12;
  params.ignore_eos = true;
  params.context_shift = true;
  params.context_keep = 9;
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "Hi");
  read_reply(*session, 3);
  auto other = test_session();
  Script script("x");
  follow(*other, script);
  REQUIRE(other->restore(session->save().value()).ok());
  const GenerateParams& got = other->generate_params();
  CHECK(got.sampling.temperature == 0.7f);
  CHECK(got.sampling.top_k == 5);
  CHECK(got.sampling.mirostat == 2);
  CHECK(got.sampling.mirostat_tau == 3);
  CHECK(got.sampling.dry_multiplier == 0.8f);
  CHECK(got.sampling.logit_bias == params.sampling.logit_bias);
  CHECK(got.sampling.seed == 99);
  CHECK(got.sampling.user_sampler.user_data == &script);
  CHECK(got.stop == params.stop);
  CHECK(got.stop_ids == params.stop_ids);
  CHECK(got.max_new_tokens == 77);
  CHECK(got.think_budget == 12);
  CHECK(got.ignore_eos);
  CHECK(got.context_shift);
  CHECK(got.context_keep == 9);
}

TEST_CASE("saved session: mirostat goes on from where it was") {
  const auto sampled = [](Session& session) {
    GenerateParams params;
    params.sampling.temperature = 5;
    params.sampling.mirostat = 2;
    params.ignore_eos = true;
    REQUIRE(session.set_generate_params(params).ok());
    ask(session, "Hi");
    read_reply(session, 20);
  };
  auto session = test_session(), other = test_session();
  sampled(*session);
  REQUIRE(other->restore(session->save().value()).ok());
  CHECK(read_reply(*other, 40).ids == read_reply(*session, 40).ids);
}

TEST_CASE("saved session: smaller cache types keep their bits") {
  for (DType type : {DType::f16, DType::bf16, DType::q8_0, DType::f8_e4m3}) {
    auto session = test_session({.kv_type = type});
    ask(*session, "What is 347+85?");
    read_reply(*session, 8);
    auto other = test_session({.kv_type = type});
    REQUIRE(other->restore(session->save().value()).ok());
    const auto a = *session->logits(), b = *other->logits();
    CHECK(std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
    CHECK(read_reply(*other).ids == read_reply(*session).ids);
  }
}
