// What shares, copies, saves and cuts cached rows, in every type of the cache, also those in which rows are blocks with scales.
#include <algorithm>
#include <limits>

#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::f8_e4m3};
const std::string kQuestion = "What is 347+85? " + std::string(60, ' ') + "Think!";  // more than one block of the cache

std::unique_ptr<Session> session_of(DType type, SessionParams params = {}) {
  params.kv_type = type;
  auto session = test_session(params);
  GenerateParams generate;
  generate.sampling.temperature = 1.5f;
  generate.sampling.seed = 11;
  generate.ignore_eos = true;
  generate.max_new_tokens = 40;
  REQUIRE(session->set_generate_params(generate).ok());
  return session;
}

std::vector<float> logits_of(Session& session) {
  const auto logits = session.logits();
  REQUIRE_MESSAGE(logits.ok(), logits.status().message());
  return {logits->begin(), logits->end()};
}

}  // namespace

TEST_CASE("kv state: a fork and its parent go on with the same bits, wherever it was made") {
  for (const DType type : kTypes) {
    CAPTURE(dtype_name(type));
    auto whole = session_of(type);
    ask(*whole, kQuestion);
    const std::vector<Seen> want = watch(*whole);
    REQUIRE(want.size() == 40);
    for (const std::size_t n : {0, 1, 7, 30}) {
      auto parent = session_of(type);
      ask(*parent, kQuestion);
      std::vector<Seen> of_parent = watch(*parent, n), of_fork = of_parent;
      auto fork = parent->fork();
      REQUIRE_MESSAGE(fork.ok(), fork.status().message());
      // Turn by turn: each writes its own rows behind the shared ones.
      for (;;) {
        const auto a = watch(*parent, 1), b = watch(**fork, 1);
        if (a.empty()) break;
        of_parent.push_back(a[0]);
        REQUIRE(b.size() == 1);
        of_fork.push_back(b[0]);
      }
      CHECK(of_parent == want);
      CHECK(of_fork == want);
      CHECK(logits_of(**fork) == logits_of(*whole));
    }
  }
}

TEST_CASE("kv state: forks that go different ways do not touch each other's rows") {
  for (const DType type : kTypes) {
    CAPTURE(dtype_name(type));
    const auto alone = [&](std::uint64_t seed) {
      auto session = session_of(type);
      GenerateParams generate = session->generate_params();
      generate.sampling.seed = seed;
      REQUIRE(session->set_generate_params(generate).ok());
      ask(*session, kQuestion);
      return watch(*session);
    };
    auto parent = session_of(type);
    ask(*parent, kQuestion);
    std::vector<std::unique_ptr<Session>> forks;
    std::vector<std::vector<Seen>> seen(3);
    for (std::uint64_t seed = 20; seed < 23; ++seed) {
      forks.push_back(parent->fork().value());
      GenerateParams generate = parent->generate_params();
      generate.sampling.seed = seed;
      REQUIRE(forks.back()->set_generate_params(generate).ok());
    }
    for (int n = 0; n < 40; ++n)
      for (std::size_t i = 0; i < 3; ++i) seen[i].push_back(watch(*forks[i], 1).at(0));
    for (std::size_t i = 0; i < 3; ++i) CHECK(seen[i] == alone(20 + i));
    CHECK(watch(*parent) == alone(11));
  }
}

TEST_CASE("kv state: saved anywhere and restored elsewhere it goes on with the same bits") {
  for (const DType type : kTypes) {
    CAPTURE(dtype_name(type));
    auto whole = session_of(type);
    ask(*whole, kQuestion);
    const std::vector<Seen> want = watch(*whole);
    for (const std::size_t n : {0, 1, 13, 39}) {
      auto session = session_of(type), other = session_of(type, {.prefill_chunk = 5});
      ask(*session, kQuestion);
      std::vector<Seen> got = watch(*session, n);
      const std::string saved = session->save().value();
      ask(*other, "something else");
      const Status status = other->restore(saved);
      REQUIRE_MESSAGE(status.ok(), status.message());
      CHECK(other->save().value() == saved);
      const std::vector<Seen> rest = watch(*other);
      got.insert(got.end(), rest.begin(), rest.end());
      CHECK(got == want);
      CHECK(logits_of(*other) == logits_of(*whole));
      for (const DType wrong : kTypes) {
        if (wrong == type) continue;
        auto refused = session_of(wrong);
        const Status mismatch = refused->restore(saved);
        CHECK(mismatch.code() == Code::invalid_argument);
        CHECK(mismatch.message().find(dtype_name(type)) != std::string::npos);
      }
    }
  }
}

TEST_CASE("kv state: rewound into the reply, the prompt or a block it computes what a fresh session does") {
  for (const DType type : kTypes) {
    CAPTURE(dtype_name(type));
    auto session = session_of(type);
    ask(*session, kQuestion);
    watch(*session);
    const std::vector<TokenId> all(session->tokens().begin(), session->tokens().end());
    for (const std::size_t n : {all.size() - 1, all.size() - 17, std::size_t{65}, std::size_t{64}, std::size_t{63}, std::size_t{3}}) {
      CAPTURE(n);
      REQUIRE(session->rewind(n).ok());
      auto fresh = session_of(type);
      REQUIRE(fresh->prompt_ids(std::span(all).first(n)).ok());
      CHECK(logits_of(*session) == logits_of(*fresh));
    }
  }
}

TEST_CASE("kv state: chunks of any size and reused prefixes give the same bits") {
  for (const DType type : kTypes) {
    CAPTURE(dtype_name(type));
    auto whole = session_of(type);
    ask(*whole, kQuestion);
    const std::vector<float> want = logits_of(*whole);
    for (const std::size_t chunk : {1, 3, 64}) {
      auto session = session_of(type, {.prefill_chunk = chunk});
      ask(*session, kQuestion.substr(0, 40));
      ask(*session, kQuestion);
      CHECK(logits_of(*session) == want);
    }
  }
}

TEST_CASE("kv state: slices without time, under prefill and decode, each end after one layer and lose nothing") {
  for (const DType type : kTypes) {
    CAPTURE(dtype_name(type));
    auto whole = session_of(type);
    ask(*whole, kQuestion);
    const std::vector<Seen> want = watch(*whole);
    for (const std::int64_t budget_us : {std::int64_t{0}, std::int64_t{1}, std::int64_t{50}}) {
      constexpr std::size_t kChunk = 16;
      auto session = session_of(type, {.prefill_chunk = kChunk, .defer_prefill = true});
      ask(*session, kQuestion);
      const std::size_t n_prompt = session->tokens().size();
      std::vector<Seen> seen;
      std::size_t n_slices = 0, n_before_first = 0;
      TokenEvent event;
      for (Status status; (status = session->step(budget_us, event)).code() != Code::end;) {
        ++n_slices;
        REQUIRE((status.ok() || status.code() == Code::pending));
        if (status.code() == Code::pending) continue;
        if (seen.empty()) n_before_first = n_slices;
        seen.push_back({event.id, event.channel, event.forced, std::string(event.text), event.logprob});
        REQUIRE(n_slices < 10000);
      }
      CHECK(seen == want);
      // With no time at all a slice is one layer of one chunk: the last of a pass also ends it.
      const std::size_t n_chunks = (n_prompt + kChunk - 1) / kChunk;
      if (budget_us == 0) CHECK(n_before_first == 3 * n_chunks);
      CHECK(n_before_first <= 3 * n_chunks);
    }
  }
}

TEST_CASE("kv state: between two slices of a prefill it can be forked, saved, prompted anew, and goes on") {
  for (const DType type : {DType::q8_0, DType::f8_e4m3}) {
    CAPTURE(dtype_name(type));
    auto whole = session_of(type);
    ask(*whole, kQuestion);
    const std::vector<Seen> want = watch(*whole);
    for (int at = 1; at < 15; at += 3) {
      CAPTURE(at);
      auto session = session_of(type, {.prefill_chunk = 16, .defer_prefill = true});
      ask(*session, kQuestion);
      TokenEvent event;
      for (int n = 0; n < at; ++n) REQUIRE(session->step(0, event).code() == Code::pending);
      auto fork = session->fork();
      REQUIRE(fork.ok());
      const std::string saved = session->save().value();
      auto restored = session_of(type, {.prefill_chunk = 16, .defer_prefill = true});
      REQUIRE(restored->restore(saved).ok());
      CHECK(watch(**fork) == want);
      CHECK(watch(*restored) == want);
      REQUIRE(session->step(0, event).code() == Code::pending);
      ask(*session, kQuestion);
      CHECK(watch(*session) == want);
    }
  }
}
