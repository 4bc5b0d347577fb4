// Early exit: what the probes see ends the thinking, and nothing else of the reply changes.
#include <random>

#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

GenerateParams probing(std::int64_t every, std::int64_t agree) {
  GenerateParams params;
  ReasoningParams& r = params.reasoning;
  r.enabled = true;
  r.early_exit = EarlyExit::probe;
  r.probe_every = every;
  r.probe_agree = agree;
  r.probe_text = "</think>\n\n\\boxed{";  // as the model itself begins
  return params;
}

std::vector<Seen> reply(Session& session, const GenerateParams& params, std::string_view question = "What is 347+85?") {
  const Status status = session.set_generate_params(params);
  REQUIRE_MESSAGE(status.ok(), status.message());
  ask(session, question);
  return watch(session);
}

}  // namespace

TEST_CASE("early exit: probes that settle nothing leave the reply as it is, bit for bit") {
  auto session = test_session();
  const std::vector<Seen> plain = reply(*session, {});
  for (const std::size_t chunk : {1, 4, 256}) {
    auto probed = test_session({.prefill_chunk = chunk});
    CHECK(reply(*probed, probing(1, 1000)) == plain);
    CHECK(probed->stats().probe_tokens > 4 * 5);
    CHECK(probed->stats().think_end == ThinkEnd::model);
  }
  CHECK(session->stats().probe_tokens == 0);
}

TEST_CASE("early exit: equal answers end the thinking at the end of a line") {
  auto session = test_session();
  const std::vector<Seen> plain = reply(*session, {});
  const std::string all = text_of(plain, Channel::thinking);
  const std::vector<Seen> seen = reply(*session, probing(1, 1));
  CHECK(session->stats().think_end == ThinkEnd::early_exit);
  const std::string some = text_of(seen, Channel::thinking);
  CHECK(some.size() < all.size());
  CHECK(all.starts_with(some));
  CHECK(some.ends_with('\n'));
  // The more have to agree, the longer it takes.
  const std::vector<Seen> later = reply(*session, probing(1, 2));
  CHECK(text_of(later, Channel::thinking).size() > some.size());
}

TEST_CASE("early exit: by confidence, at the first answer that is sure enough") {
  auto session = test_session();
  GenerateParams params = probing(1, 3);
  params.reasoning.early_exit = EarlyExit::confidence;
  params.reasoning.confidence = 0;
  reply(*session, params);
  CHECK(session->stats().think_end == ThinkEnd::early_exit);
  const std::int64_t n_first = session->stats().thinking_tokens;
  params.reasoning.confidence = 1;  // nothing is quite sure
  reply(*session, params);
  CHECK(session->stats().think_end == ThinkEnd::model);
  CHECK(session->stats().thinking_tokens > n_first);
  const std::int64_t n_probed = session->stats().probe_tokens;
  params.reasoning.probe_max = 1;
  reply(*session, params);
  CHECK(session->stats().probe_tokens < n_probed);
}

TEST_CASE("early exit: without room behind the tokens nothing is looked at") {
  const std::size_t n_prompt = chat_ids("What is 347+85?").size();
  auto session = test_session({.context_length = n_prompt + 24});
  GenerateParams params = probing(1, 1);
  params.reasoning.answer_reserve = 0;
  params.reasoning.grace = 0;
  reply(*session, params);
  CHECK(session->stats().probe_tokens == 0);
}

TEST_CASE("early exit: slices, saves, forks, rewinds and batches in the middle of a probe change nothing") {
  std::mt19937 random(4);
  auto whole = test_session();
  for (const std::int64_t agree : {1, 2, 1000}) {
    GenerateParams params = probing(3, agree);
    params.sampling.temperature = 0.7f;
    params.sampling.seed = 40;
    const std::vector<Seen> at_once = reply(*whole, params, "What is 23*45?");
    for (int repeat = 0; repeat < 6; ++repeat) {
      auto session = test_session({.prefill_chunk = repeat % 2 ? std::size_t{2} : std::size_t{256}}, 1);
      REQUIRE(session->set_generate_params(params).ok());
      ask(*session, "What is 23*45?");
      std::vector<Seen> seen;
      for (;;) {
        TokenEvent event;
        const Status status = session->step(0, event);
        if (status.ok()) seen.push_back({event.id, event.channel, event.forced, std::string(event.text), event.logprob});
        if (!status.ok() && status.code() != Code::pending) break;
        switch (random() % 24) {
          case 0: {
            const auto saved = session->save();
            REQUIRE(saved.ok());
            REQUIRE(session->restore(*saved).ok());
            break;
          }
          case 1: session = std::move(session->fork()).value(); break;
          case 2: REQUIRE(session->rewind(session->tokens().size()).ok()); break;
          case 3: REQUIRE(session->logits().ok()); break;
          case 4: {
            Session* const list[] = {session.get()};
            Status batch_status;
            REQUIRE(Session::next_batch(list, {&event, 1}, {&batch_status, 1}).ok());
            if (batch_status.ok())
              seen.push_back({event.id, event.channel, event.forced, std::string(event.text), event.logprob});
            break;
          }
          default: break;
        }
      }
      CAPTURE(repeat);
      CHECK(seen == at_once);
      CHECK(session->stats().think_end == whole->stats().think_end);
    }
  }
}

TEST_CASE("early exit: a prompt in the middle of a probe begins anew") {
  auto session = test_session({}, 1);
  REQUIRE(session->set_generate_params(probing(1, 1000)).ok());
  ask(*session, "What is 347+85?");
  TokenEvent event;
  std::int64_t n_before = 0;
  while (session->stats().probe_tokens == n_before) REQUIRE(session->step(0, event).code() >= Code::ok);
  ask(*session, "What is 12+30?");
  CHECK(text_of(watch(*session), Channel::answer) == "\\boxed{42}");
}

TEST_CASE("early exit: settings that cannot be are refused by name") {
  auto session = test_session();
  const auto refused = [&](auto change) {
    GenerateParams params = probing(1, 1);
    change(params.reasoning);
    return std::string(session->set_generate_params(params).message());
  };
  CHECK(refused([](ReasoningParams& r) { r.probe_every = 0; }).starts_with("probe_every: 0"));
  CHECK(refused([](ReasoningParams& r) { r.probe_agree = 0; }).starts_with("probe_agree: 0"));
  CHECK(refused([](ReasoningParams& r) { r.probe_tokens = 0; }).starts_with("probe_tokens: 0"));
  CHECK(refused([](ReasoningParams& r) { r.confidence = 1.5f; }).starts_with("confidence: 1.5"));
  CHECK(refused([](ReasoningParams& r) { r.probe_text = std::string(5000, 'x'); }).starts_with("probe_text: 5000"));
}
