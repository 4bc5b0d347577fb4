#include <algorithm>
#include <chrono>
#include <fstream>

#include "lib/io/folder.h"
#include "lib/io/mapped_file.h"
#include "lib/session/scheduler.h"
#include "tests/lib/io/temporary_folder.h"
#include "tests/lib/session/script.h"

#if !defined(_WIN32)
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

using namespace ponder::core;
using ponder::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::string kLong = "What is 12+34? " + std::string(100, ' ') + "And 5+6?";

// A session with a cache of its own settings on a shared folder, and what the log was told.
struct Cached {
  explicit Cached(const fs::path& folder, SessionParams params = {}, std::size_t min_tokens = 16, std::uint64_t max_bytes = 0) {
    params.prompt_cache = {folder, max_bytes, min_tokens};
    auto with_log = std::make_shared<Runtime>(*test_runtime());
    with_log->log = Log([this](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) warnings.emplace_back(text);
    }, LogLevel::debug);
    auto made = Session::create(with_log, tiny_r1(), params);
    REQUIRE_MESSAGE(made.ok(), made.status().message());
    session = std::move(*made);
  }
  std::int64_t reused_of(std::string_view question) {
    ask(*session, question);
    return session->stats().reused_tokens;
  }
  std::vector<std::string> warnings;
  std::unique_ptr<Session> session;
};

std::vector<std::string> files(const fs::path& folder) {
  std::vector<std::string> names = names_in_folder(folder);
  CHECK(std::all_of(names.begin(), names.end(), [](const std::string& name) { return name.ends_with(".ponderkv"); }));
  return names;
}

bool has_whole(const fs::path& folder) {
  const auto names = names_in_folder(folder);
  return std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.ends_with(".ponderkv"); });
}

// Bytes of the one file that is being written; 0: none.
std::uintmax_t unfinished_bytes(const fs::path& folder) {
  std::uintmax_t n_bytes = 0;
  for (const std::string& name : names_in_folder(folder))
    if (name.ends_with(".tmp")) n_bytes += fs::file_size(folder / name);
  return n_bytes;
}

std::string content(const fs::path& path) { return read_file(path, std::size_t{1} << 30).value(); }
void overwrite(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::vector<Seen> alone(std::string_view question, const SessionParams& params = {}) {
  auto session = test_session(params);
  ask(*session, question);
  return watch(*session);
}

}  // namespace

TEST_CASE("prompt cache: another session finds the prompt, and replies with the same bits") {
  for (const DType type : {DType::f32, DType::f16, DType::q8_0}) {
    CAPTURE(dtype_name(type));
    const TemporaryFolder folder;
    const SessionParams params{.kv_type = type};
    const std::vector<Seen> want = alone(kLong, params);
    Cached first(folder.path(), params), second(folder.path(), params);
    CHECK(first.reused_of(kLong) == 0);
    CHECK(files(folder.path()).size() == 1);
    CHECK(watch(*first.session) == want);
    CHECK(second.reused_of(kLong) == static_cast<std::int64_t>(chat_ids(kLong).size()) - 1);
    CHECK(watch(*second.session) == want);
    CHECK(files(folder.path()).size() == 1);
    CHECK(first.warnings.empty());
    CHECK(second.warnings.empty());
  }
}

TEST_CASE("prompt cache: a part of a stored prompt serves another one, the longest is taken, a prefix gives way") {
  const TemporaryFolder folder;
  Cached first(folder.path());
  const std::string start = "What is 12+34? " + std::string(70, ' ');
  ask(*first.session, start);
  ask(*first.session, "Something else, that is not short at all");
  CHECK(files(folder.path()).size() == 2);
  // The prompt's end (Assistant, <think>) is not that of the longer one: both stay.
  Cached second(folder.path());
  const std::int64_t common = static_cast<std::int64_t>(chat_ids(start).size()) - 3;
  CHECK(second.reused_of(kLong) == common);
  CHECK(watch(*second.session) == alone(kLong));
  CHECK(files(folder.path()).size() == 3);
  // Of ids without such an end, the longer takes the place of the shorter, and serves it.
  const TemporaryFolder ids_folder;
  const std::vector<TokenId> ids = chat_ids(kLong);
  Cached third(ids_folder.path()), fourth(ids_folder.path());
  REQUIRE(third.session->prompt_ids(std::span(ids).first(80)).ok());
  const std::vector<std::string> before = files(ids_folder.path());
  REQUIRE(third.session->prompt_ids(ids).ok());
  CHECK(third.session->stats().reused_tokens == 80);
  const std::vector<std::string> after = files(ids_folder.path());
  CHECK(after.size() == 1);
  CHECK(after != before);
  REQUIRE(fourth.session->prompt_ids(std::span(ids).first(90)).ok());
  CHECK(fourth.session->stats().reused_tokens == 89);
}

TEST_CASE("prompt cache: only what cost enough is stored, and only for the same settings and adapters") {
  const TemporaryFolder folder;
  Cached choosy(folder.path(), {}, 1000);
  ask(*choosy.session, kLong);
  CHECK(files(folder.path()).empty());
  Cached first(folder.path());
  ask(*first.session, kLong);
  REQUIRE(files(folder.path()).size() == 1);
  Cached f16(folder.path(), {.kv_type = DType::f16}), fast(folder.path(), {.compute = Compute::fast});
  CHECK(f16.reused_of(kLong) == 0);
  CHECK(fast.reused_of(kLong) == 0);
  CHECK(files(folder.path()).size() == 3);
  // A rewind computes the last token again: nothing new to store.
  REQUIRE(first.session->rewind(first.session->tokens().size() - 5).ok());
  REQUIRE(first.session->logits().ok());
  CHECK(files(folder.path()).size() == 3);
}

TEST_CASE("prompt cache: broken, cut and foreign files are not used and are replaced") {
  const TemporaryFolder folder;
  const std::vector<Seen> want = alone(kLong);
  Cached first(folder.path());
  ask(*first.session, kLong);
  const fs::path path = folder.path() / files(folder.path()).at(0);
  const std::string sound = content(path);
  const auto n_ids = chat_ids(kLong).size();
  const auto check = [&](const std::string& bytes, bool some_is_good) {
    overwrite(path, bytes);
    Cached session(folder.path());
    const std::int64_t reused = session.reused_of(kLong);
    CHECK(reused == (some_is_good ? 64 : 0));
    CHECK(watch(*session.session) == want);
    CHECK(files(folder.path()).size() == 1);
    CHECK(content(path) == sound);
  };
  check("", false);
  check("foreign", false);
  check(sound.substr(0, sound.size() - 1), false);
  check(sound.substr(0, 100), false);
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}, std::size_t{16}, std::size_t{24}, std::size_t{32}, std::size_t{50}, 40 + 4 * n_ids + 100}) {
    CAPTURE(at);
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    check(bytes, false);
  }
  std::string bytes = sound;  // the second block of 64 tokens: the first is used
  bytes[bytes.size() - 20] = static_cast<char>(bytes[bytes.size() - 20] ^ 1);
  check(bytes, true);
}

TEST_CASE("prompt cache: the least recently used go when the limit is reached, other files stay") {
  const TemporaryFolder folder;
  overwrite(folder.path() / "note.txt", "not ours");
  std::vector<std::string> questions;
  for (int i = 0; i < 4; ++i) questions.push_back(std::string(1, static_cast<char>('a' + i)) + std::string(80, ' '));
  Cached one(folder.path());
  ask(*one.session, questions[0]);
  std::uintmax_t n_bytes = 0;
  for (const auto& name : names_in_folder(folder.path()))
    if (name != "note.txt") n_bytes = fs::file_size(folder.path() / name);
  REQUIRE(n_bytes > 0);
  const auto age = [&](std::string_view question, int hours) {
    // The file of a question is the one that a fresh session finds: it is touched then; all others are made older.
    Cached finder(folder.path());
    CHECK(finder.reused_of(question) > 10);
    for (const auto& name : names_in_folder(folder.path())) {
      const auto time = fs::last_write_time(folder.path() / name);
      if (fs::file_time_type::clock::now() - time < std::chrono::minutes(30))
        fs::last_write_time(folder.path() / name, time - std::chrono::hours(hours));
    }
  };
  age(questions[0], 3);
  Cached limited(folder.path(), {}, 16, 2 * n_bytes + 10);
  ask(*limited.session, questions[1]);
  age(questions[1], 5);  // older than the first
  ask(*limited.session, questions[2]);
  Cached finder(folder.path());
  CHECK(finder.reused_of(questions[0]) > 10);
  CHECK(finder.reused_of(questions[2]) > 10);
  CHECK(fs::exists(folder.path() / "note.txt"));
  CHECK(names_in_folder(folder.path()).size() == 3);
  Cached small(folder.path(), {}, 16, n_bytes - 1);  // has no room for one
  ask(*small.session, questions[3]);
  CHECK(small.warnings.empty());
  CHECK(names_in_folder(folder.path()).size() == 3);
}

TEST_CASE("prompt cache: a folder that cannot be is a warning, the prompt is computed") {
  const TemporaryFolder folder;
  overwrite(folder.path() / "file", "x");
  Cached session(folder.path() / "file" / "below");
  CHECK(session.reused_of(kLong) == 0);
  REQUIRE(session.warnings.size() == 1);
  CHECK(session.warnings[0].starts_with("prompt cache: "));
  CHECK(watch(*session.session) == alone(kLong));
  Cached deep(folder.path() / "made" / "when needed");
  ask(*deep.session, kLong);
  CHECK(files(folder.path() / "made" / "when needed").size() == 1);
}

TEST_CASE("prompt cache: deferred prompts, slices and batches store and find, too") {
  const TemporaryFolder folder;
  const std::vector<Seen> want = alone(kLong);
  const SessionParams deferred{.prefill_chunk = 16, .defer_prefill = true};
  Cached first(folder.path(), deferred);
  ask(*first.session, kLong);
  CHECK(files(folder.path()).empty());
  TokenEvent event;
  while (!has_whole(folder.path())) REQUIRE(first.session->step(0, event).code() != Code::state);
  REQUIRE(files(folder.path()).size() == 1);
  fs::remove(folder.path() / files(folder.path())[0]);
  Cached second(folder.path(), deferred), third(folder.path(), deferred);
  ask(*second.session, kLong);
  auto scheduler = Scheduler::create(test_runtime(), tiny_r1(), {.token_budget = 16}).value();
  REQUIRE(scheduler->add(*second.session, 0).ok());
  std::vector<SchedulerEvent> events;
  for (Status status; (status = scheduler->step(-1, events)).code() != Code::end;) REQUIRE(status.ok());
  CHECK(files(folder.path()).size() == 1);
  CHECK(third.reused_of(kLong) > 100);
  CHECK(watch(*third.session) == want);
}

namespace {

const std::string kLonger = "What is 12+34? " + std::string(380, ' ');  // of several parts

// Computes the prompt in slices; the first token of the reply begins the file.
std::unique_ptr<Cached> in_slices(const fs::path& folder, std::string_view question) {
  auto cached = std::make_unique<Cached>(folder, SessionParams{.prefill_chunk = 64, .defer_prefill = true});
  ask(*cached->session, question);
  TokenEvent event;
  while (cached->session->step(0, event).code() == Code::pending) CHECK(names_in_folder(folder).empty());
  CHECK(unfinished_bytes(folder) > 0);
  CHECK(!has_whole(folder));
  return cached;
}

}  // namespace

TEST_CASE("prompt cache: a step of a budget that is used up writes one part, and the file appears when it is whole") {
  const TemporaryFolder folder;
  const auto first = in_slices(folder.path(), kLonger);
  const KvLayout layout = KvLayout::create(tiny_r1()->config(), DType::f32).value();
  const std::size_t most = PromptCache::kPartBytes + 64 * layout.row_bytes() + 8;
  CHECK(unfinished_bytes(folder.path()) < 4 * 512);  // the head
  int n_parts = 0;
  TokenEvent event;
  for (std::uintmax_t last = unfinished_bytes(folder.path()); !has_whole(folder.path()); ++n_parts) {
    REQUIRE(n_parts < 1000);
    Status status;
    while ((status = first->session->step(0, event)).code() == Code::pending) CHECK(unfinished_bytes(folder.path()) == last);
    REQUIRE((status.ok() || status.code() == Code::end));  // also behind the end of the reply
    const std::uintmax_t now = unfinished_bytes(folder.path());
    if (now == 0) break;
    CHECK(now > last);
    CHECK(now - last <= most);
    last = now;
  }
  CHECK(n_parts >= 5);
  CHECK(files(folder.path()).size() == 1);
  CHECK(first->warnings.empty());
  Cached second(folder.path());
  CHECK(second.reused_of(kLonger) == static_cast<std::int64_t>(chat_ids(kLonger).size()) - 1);
  CHECK(watch(*second.session) == alone(kLonger));
}

TEST_CASE("prompt cache: what is being written is given up with its session or its prompt, and finished by a call without a budget") {
  const TemporaryFolder folder;
  in_slices(folder.path(), kLonger).reset();
  CHECK(names_in_folder(folder.path()).empty());
  auto cached = in_slices(folder.path(), kLonger);
  ask(*cached->session, "Another question");
  CHECK(names_in_folder(folder.path()).empty());
  cached = in_slices(folder.path(), kLonger);
  REQUIRE(cached->session->rewind(100).ok());
  CHECK(names_in_folder(folder.path()).empty());
  cached = in_slices(folder.path(), kLonger);
  TokenEvent event;
  REQUIRE(cached->session->next(event).ok());
  CHECK(files(folder.path()).size() == 1);
  fs::remove(folder.path() / files(folder.path())[0]);
  cached = in_slices(folder.path(), kLonger);
  REQUIRE(cached->session->step(60'000'000, event).ok());  // a budget that is not used up
  CHECK(files(folder.path()).size() == 1);
}

TEST_CASE("prompt cache: half a file of a process that died is no prompt, and goes after a day") {
  const TemporaryFolder folder;
  Cached first(folder.path());
  ask(*first.session, kLong);
  const std::string name = files(folder.path()).at(0), sound = content(folder.path() / name);
  fs::remove(folder.path() / name);
  const fs::path fresh = folder.path() / (name + ".12-0.tmp"), old = folder.path() / (name + ".12-1.tmp");
  overwrite(fresh, sound.substr(0, sound.size() / 2));
  overwrite(old, sound.substr(0, sound.size() / 2));
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(30));
  Cached second(folder.path());
  CHECK(second.reused_of(kLong) == 0);
  CHECK(content(folder.path() / name) == sound);
  CHECK(fs::exists(fresh));
  CHECK(!fs::exists(old));
  CHECK(second.warnings.empty());
}

#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)  // that one takes no threads behind a fork

namespace {

// What `body` returns in a child of fork(), with one thread; -1: it was killed.
template <class F>
pid_t in_child(F&& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  return child;
}
int wait_for(pid_t child) {
  int state = 0;
  REQUIRE(::waitpid(child, &state, 0) == child);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

std::unique_ptr<Session> session_of(const fs::path& folder, std::uint64_t max_bytes, bool deferred) {
  auto runtime = std::make_shared<Runtime>(*test_runtime());
  runtime->pool = ThreadPool::create(1, {}).value();
  SessionParams params{.defer_prefill = deferred};
  params.prompt_cache = {folder, max_bytes, 16};
  return Session::create(runtime, tiny_r1(), params).value();
}

}  // namespace

TEST_CASE("prompt cache: a full disk is a warning, nothing is left of the file, and the reply is right") {
  const TemporaryFolder folder;
  (void)alone("warms up");
  const pid_t child = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);  // then writing fails with EFBIG
    const rlimit limit{20000, 20000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const std::vector<Seen> want = alone(kLonger);
    Cached cached(folder.path());
    ask(*cached.session, kLonger);
    if (!names_in_folder(folder.path()).empty()) return 2;
    if (cached.warnings.size() != 1 || !cached.warnings[0].starts_with("prompt cache: ")) return 3;
    if (watch(*cached.session) != want) return 4;
    Cached sliced(folder.path(), {.prefill_chunk = 64, .defer_prefill = true});
    ask(*sliced.session, kLonger);
    TokenEvent event;
    std::size_t n_tokens = 0;
    Status status;
    while ((status = sliced.session->step(0, event)).ok() || status.code() == Code::pending) n_tokens += status.ok() ? 1 : 0;
    if (n_tokens != want.size() || sliced.warnings.size() != 1) return 5;
    return names_in_folder(folder.path()).empty() ? 0 : 6;
  });
  CHECK(wait_for(child) == 0);
}

TEST_CASE("prompt cache: a process that is killed while it writes leaves nothing that others trip over") {
  const TemporaryFolder folder;
  const std::vector<Seen> want = alone(kLonger);
  const pid_t child = in_child([&] {
    auto session = session_of(folder.path(), 0, true);
    ask(*session, kLonger);
    TokenEvent event;
    for (int n_tokens = 0; n_tokens < 3;) n_tokens += session->step(0, event).ok() ? 1 : 0;
    ::raise(SIGKILL);
    return 0;
  });
  CHECK(wait_for(child) == -1);
  CHECK(unfinished_bytes(folder.path()) > 10000);
  Cached other(folder.path());
  CHECK(other.reused_of(kLonger) == 0);
  CHECK(watch(*other.session) == want);
  CHECK(has_whole(folder.path()));
  CHECK(other.warnings.empty());
}

TEST_CASE("prompt cache: two processes use one folder under a small limit") {
  const TemporaryFolder folder;
  std::vector<std::string> questions;
  std::vector<std::vector<Seen>> want;
  for (int i = 0; i < 4; ++i) {
    questions.push_back(std::string(1, static_cast<char>('a' + i)) + std::string(80, ' '));
    want.push_back(alone(questions.back()));
  }
  constexpr std::uint64_t kLimit = 200'000;  // of about two of the files
  const auto work = [&](std::uint32_t seed) {
    for (int round = 0; round < 25; ++round) {
      seed = seed * 1664525u + 1013904223u;
      const std::size_t i = seed >> 30;
      auto session = session_of(folder.path(), kLimit, (seed >> 20 & 1) != 0);
      ask(*session, questions[i]);
      if (watch(*session) != want[i]) return 1;
    }
    return 0;
  };
  const pid_t first = in_child([&] { return work(1); }), second = in_child([&] { return work(2); });
  CHECK(wait_for(first) == 0);
  CHECK(wait_for(second) == 0);
  std::uintmax_t total = 0;
  for (const std::string& name : files(folder.path())) total += fs::file_size(folder.path() / name);  // no temporary ones
  CHECK(total > 0);
  CHECK(total <= 3 * kLimit);  // both may have written at once
  for (std::size_t i = 0; i < questions.size(); ++i) {
    Cached session(folder.path());
    ask(*session.session, questions[i]);
    CHECK(watch(*session.session) == want[i]);
    CHECK(session.warnings.empty());
  }
}

#endif
