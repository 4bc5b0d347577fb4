// Fork, rewind, save and restore, a slice, a batch: none of them changes what follows, at any token of a reply.
#include <algorithm>
#include <array>
#include <cstring>

#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

// Thinking and answer with characters of several bytes, a held stop string that is not met, and one that is.
constexpr std::string_view kReply = "\nü\n€x\n</think>\n\nÄ ab\xf0\x9f\x98\x80 abc\xe2\x82 abd abcdef";

GenerateParams scripted_params() {
  GenerateParams params;
  params.stop = {"abcde", " abcX", "€Z"};
  return params;
}

struct Scripted {
  Script script{kReply};
  std::unique_ptr<Session> session = test_session();
  Scripted() {
    follow(*session, script, scripted_params());
    ask(*session, "Hi");
  }
};

std::vector<float> logits_of(Session& session) {
  const auto logits = session.logits();
  REQUIRE(logits.ok());
  return {logits->begin(), logits->end()};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<Seen> tail(const std::vector<Seen>& seen, std::size_t from) {
  return {seen.begin() + static_cast<std::ptrdiff_t>(from), seen.end()};
}

std::unique_ptr<Session> hot_session(const SessionParams& params = {}) {
  auto session = test_session(params);
  GenerateParams generate;
  generate.sampling.temperature = 4;
  generate.sampling.top_p = 0.98f;
  generate.sampling.repetition_penalty = 1.1f;
  generate.sampling.dry_multiplier = 0.5f;
  generate.sampling.seed = 4;
  generate.max_new_tokens = 60;
  generate.think_budget = 25;
  REQUIRE(session->set_generate_params(generate).ok());
  return session;
}

}  // namespace

TEST_CASE("interruption: a scripted reply forked at any token goes on as if nothing had happened") {
  Scripted whole;
  const std::vector<Seen> want = watch(*whole.session);
  CHECK(text_of(want, Channel::answer) == "Ä ab\xf0\x9f\x98\x80 abc\xef\xbf\xbd abd ");
  for (std::size_t n = 0; n <= want.size(); ++n) {
    CAPTURE(n);
    Scripted origin;
    CHECK(watch(*origin.session, n).size() == n);
    auto fork = std::move(origin.session->fork()).value();
    Script rest = origin.script;
    follow(*fork, rest, scripted_params());
    CHECK(watch(*fork) == tail(want, n));
    CHECK(watch(*origin.session) == tail(want, n));
    CHECK(fork->finish_reason() == FinishReason::stop);
  }
}

TEST_CASE("interruption: a scripted reply saved at any token goes on in another session") {
  Scripted whole;
  const std::vector<Seen> want = watch(*whole.session);
  auto other = test_session({.context_length = 100, .prefill_chunk = 5});
  for (std::size_t n = 0; n <= want.size(); ++n) {
    CAPTURE(n);
    Scripted origin;
    watch(*origin.session, n);
    const Status status = other->restore(origin.session->save().value());
    REQUIRE_MESSAGE(status.ok(), status.message());
    CHECK(other->stats().thinking_tokens == origin.session->stats().thinking_tokens);
    Script rest = origin.script;
    follow(*other, rest, scripted_params());
    CHECK(watch(*other) == tail(want, n));
    CHECK(other->stats().thinking_tokens == whole.session->stats().thinking_tokens);
    CHECK(other->stats().answer_tokens == whole.session->stats().answer_tokens);
  }
}

TEST_CASE("interruption: a scripted reply rewound to any token goes on with the same text") {
  Scripted whole;
  const std::vector<Seen> want = watch(*whole.session);
  const std::size_t n_prompt = whole.session->tokens().size() - want.size();
  const SessionStats stats = whole.session->stats();
  for (std::size_t n = want.size(); n-- > 0;) {
    CAPTURE(n);
    REQUIRE(whole.session->rewind(n_prompt + n).ok());
    whole.script.next = n;
    CHECK(watch(*whole.session) == tail(want, n));
    CHECK(whole.session->stats().thinking_tokens == stats.thinking_tokens);
    CHECK(whole.session->stats().answer_tokens == stats.answer_tokens);
    CHECK(whole.session->finish_reason() == FinishReason::stop);
  }
}

TEST_CASE("interruption: rewinding to where the session is changes nothing") {
  Scripted whole;
  const std::vector<Seen> want = watch(*whole.session);
  Scripted origin;
  watch(*origin.session, 30);
  REQUIRE(origin.session->rewind(origin.session->tokens().size()).ok());
  CHECK(watch(*origin.session) == tail(want, 30));
  REQUIRE(origin.session->rewind(origin.session->tokens().size()).ok());
  TokenEvent event;
  CHECK(origin.session->next(event).code() == Code::end);
}

TEST_CASE("interruption: rewinding into the prompt makes what is left the prompt") {
  auto session = test_session();
  ask(*session, "What is 347+85?");
  read_reply(*session, 10);
  REQUIRE(session->rewind(18).ok());  // before <think>
  CHECK(session->channel() == Channel::answer);
  CHECK(session->stats().thinking_tokens == 0);
  REQUIRE(session->append_ids(std::vector<TokenId>{kThinkStart, '\n'}).ok());
  CHECK(session->channel() == Channel::thinking);
  CHECK(read_reply(*session).answer == "\\boxed{432}");
  REQUIRE(session->rewind(0).ok());
  TokenEvent event;
  CHECK(session->next(event).code() == Code::state);
  CHECK(session->logits().status().code() == Code::state);
}

TEST_CASE("interruption: sampled replies and their logits are the same to the last bit at every token") {
  auto whole = hot_session();
  ask(*whole, "What is 347+85?");
  std::vector<Seen> want;
  std::vector<std::vector<float>> logits;
  TokenEvent event;
  for (;;) {
    logits.push_back(logits_of(*whole));
    if (!whole->next(event).ok()) break;
    want.push_back({event.id, event.channel, event.forced, std::string(event.text), event.logprob});
  }
  REQUIRE(want.size() > 30);
  auto origin = hot_session(), other = test_session();
  ask(*origin, "What is 347+85?");
  for (std::size_t n = 0; n < want.size(); ++n) {
    CAPTURE(n);
    auto fork = std::move(origin->fork()).value();
    REQUIRE(other->restore(origin->save().value()).ok());
    CHECK(same_bits(logits_of(*fork), logits[n]));
    CHECK(same_bits(logits_of(*other), logits[n]));
    if (n % 8 == 3) {
      CHECK(watch(*fork) == tail(want, n));
      CHECK(watch(*other) == tail(want, n));
    }
    CHECK(watch(*origin, 1).at(0) == want[n]);
  }
}

TEST_CASE("interruption: after a rewind the logits are the same to the last bit") {
  auto session = hot_session();
  ask(*session, "What is 347+85?");
  std::vector<std::vector<float>> logits;
  const std::size_t n_prompt = session->tokens().size();
  TokenEvent event;
  do logits.push_back(logits_of(*session));
  while (session->next(event).ok());
  for (std::size_t n : {std::size_t{40}, std::size_t{39}, std::size_t{11}, std::size_t{0}}) {
    REQUIRE(session->rewind(n_prompt + n).ok());
    CHECK(same_bits(logits_of(*session), logits[n]));
  }
}

TEST_CASE("interruption: chunks of any size and reused prefixes give the same logits to the last bit") {
  std::vector<float> want;
  for (std::size_t chunk : {256, 1, 2, 7, 19, 20}) {
    auto session = test_session({.prefill_chunk = chunk});
    ask(*session, "What is 347+85?");
    if (want.empty()) want = logits_of(*session);
    CHECK(same_bits(logits_of(*session), want));
    ask(*session, "What is 347+86?");
    ask(*session, "What is 347+85?");
    CHECK(session->stats().reused_tokens == 15);
    CHECK(same_bits(logits_of(*session), want));
    const std::vector<TokenId> ids = chat_ids("What is 347+85?");
    REQUIRE(session->prompt_ids(std::span(ids).first(4)).ok());
    REQUIRE(session->append_ids(std::span(ids).subspan(4)).ok());
    CHECK(same_bits(logits_of(*session), want));
  }
}

TEST_CASE("interruption: a batched step sees the logits that a step alone sees, to the last bit") {
  using Logits = std::vector<std::vector<float>>;  // of every pick
  const std::vector<std::string> questions{"What is 347+85?", "What is 52-17?", "23*45", "Compute 5+31-47.", "7"};
  const auto run = [&](bool batched) {
    std::vector<Logits> seen(questions.size());
    std::vector<std::unique_ptr<Session>> sessions;
    std::vector<Session*> handles;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      sessions.push_back(test_session({.prefill_chunk = 1 + 3 * i, .defer_prefill = i == 4}));
      handles.push_back(sessions[i].get());
      GenerateParams params;
      params.sampling.user_sampler = {[](void* logits, float* l, std::size_t n, TokenId*) {
                                        static_cast<Logits*>(logits)->emplace_back(l, l + n);
                                        return 0;
                                      },
                                      &seen[i]};
      params.think_budget = i == 2 ? 3 : -1;  // forced tokens are more than one row of the next pass
      REQUIRE(sessions[i]->set_generate_params(params).ok());
      ask(*sessions[i], questions[i]);
    }
    std::vector<TokenEvent> events(questions.size());
    std::vector<Status> statuses(questions.size());
    for (int step = 0; step < 12; ++step)
      if (batched)
        REQUIRE(Session::next_batch(handles, events, statuses).ok());
      else
        for (std::size_t i = 0; i < handles.size(); ++i) statuses[i] = handles[i]->next(events[i]);
    return seen;
  };
  const std::vector<Logits> batched = run(true), alone = run(false);
  for (std::size_t i = 0; i < alone.size(); ++i) {
    REQUIRE(batched[i].size() == alone[i].size());
    for (std::size_t n = 0; n < alone[i].size(); ++n) CHECK(same_bits(batched[i][n], alone[i][n]));
  }
}

TEST_CASE("interruption: a batch of sessions with short chunks and forced tokens comes to an end") {
  auto a = test_session({.prefill_chunk = 1}), b = test_session({.prefill_chunk = 1});
  GenerateParams params;
  params.think_budget = 2;
  std::vector<Session*> handles{a.get(), b.get()};
  for (Session* session : handles) {
    REQUIRE(session->set_generate_params(params).ok());
    ask(*session, "What is 347+85?");
  }
  std::array<TokenEvent, 2> events;
  std::array<Status, 2> statuses;
  for (int step = 0; step < 8; ++step) {
    REQUIRE(Session::next_batch(handles, events, statuses).ok());
    CHECK(statuses[0].ok());
    CHECK(statuses[1].ok());
    CHECK(events[0].id == events[1].id);
  }
}
