// The controller: budgets with grace, the answer's reserve, waits, stop_thinking(), loops; and its promises under a model that
// says anything.
#include <random>
#include <thread>

#include "lib/verify/math_text.h"
#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

// The controller with everything that is on by default off.
GenerateParams controlled() {
  GenerateParams params;
  params.reasoning.enabled = true;
  params.reasoning.grace = 0;
  params.reasoning.answer_reserve = 0;
  params.reasoning.detect_loops = false;
  return params;
}

std::string ids_text(const std::vector<Seen>& seen) {
  std::string text;
  for (const Seen& s : seen)
    if (s.id < 256)
      text += static_cast<char>(s.id);
    else
      text += s.id == kThinkStart ? "<think>" : s.id == kThinkEnd ? "</think>" : "$";
  return text;
}

struct Told {
  std::string ids;
  SessionStats stats;
  FinishReason finish;
};

Told tell(std::string_view script_text, const GenerateParams& params) {
  auto session = test_session();
  Script script(script_text);
  follow(*session, script, params);
  ask(*session, "Hi");
  const std::string ids = ids_text(watch(*session));
  return {ids, session->stats(), session->finish_reason()};
}

}  // namespace

TEST_CASE("reasoning: behind the budget the grace waits for the end of a line, then cuts") {
  GenerateParams params = controlled();
  params.think_budget = 3;
  params.reasoning.grace = 4;
  Told told = tell("abcde\nfgh", params);
  CHECK(told.ids == "abcde\n</think>\n\nfgh$");
  CHECK(told.stats.think_end == ThinkEnd::budget);
  CHECK(told.stats.thinking_tokens == 6);
  told = tell("ab\ncdefgh", params);  // the budget itself ends a line
  CHECK(told.ids == "ab\n</think>\n\ncdefgh$");
  told = tell("abcdefghij", params);
  CHECK(told.ids == "abcdefg\n</think>\n\nhij$");
  CHECK(told.stats.think_end == ThinkEnd::grace_cut);
  CHECK(told.stats.thinking_tokens == 7);
  told = tell("abcd</think>x", params);
  CHECK(told.ids == "abcd</think>x$");
  CHECK(told.stats.think_end == ThinkEnd::model);
  told = tell("abcdef\xf0\x9f\x98\x80xyz", params);  // grace, and three tokens more for the character
  CHECK(told.ids == "abcdef\xf0\x9f\x98\x80\n</think>\n\nxyz$");
  CHECK(told.stats.thinking_tokens == 10);
}

TEST_CASE("reasoning: a sentence's end will do, a decimal point will not") {
  GenerateParams params = controlled();
  params.think_budget = 1;
  params.reasoning.grace = 9;
  CHECK(tell("so. It is", params).ids == "so.\n</think>\n\n It is$");
  CHECK(tell("what? No", params).ids == "what?\n</think>\n\n No$");
  CHECK(tell("3.14\nis", params).ids == "3.14\n</think>\n\nis$");
}

TEST_CASE("reasoning: no budget, no thinking, and no grace for it") {
  GenerateParams params = controlled();
  params.reasoning.turn_budget = 0;
  params.reasoning.grace = 32;
  CHECK(tell("abc", params).ids == "\n</think>\n\nabc$");
}

TEST_CASE("reasoning: each block has its budget, and all of them the reply's") {
  GenerateParams params = controlled();
  params.reasoning.block_budget = 2;
  CHECK(tell("abcd<think>efgh", params).ids == "ab\n</think>\n\ncd<think>e\n</think>\n\nfgh$");  // <think> counts
  params.reasoning.turn_budget = 3;
  CHECK(tell("abcd<think>efgh", params).ids == "ab\n</think>\n\ncd<think>\n</think>\n\nefgh$");
}

TEST_CASE("reasoning: the message comes on a line of its own before the block is closed") {
  GenerateParams params = controlled();
  params.think_budget = 2;
  params.reasoning.message = "Enough.";
  const Told told = tell("abcd", params);
  CHECK(told.ids == "ab\nEnough.\n</think>\n\ncd$");
  CHECK(told.stats.forced_tokens == 12);
  CHECK(tell("a\nbcd", params).ids == "a\nEnough.\n</think>\n\nbcd$");
}

TEST_CASE("reasoning: the reserve is left when the answer begins, whatever the budget") {
  GenerateParams params = controlled();
  params.max_new_tokens = 30;
  params.reasoning.answer_reserve = 10;
  const Told told = tell(std::string(60, 'a') + std::string(60, 'b'), params);
  const std::size_t begin = told.ids.find("</think>") + 8 + 2;
  CHECK(told.ids.size() - begin == 13);  // three were kept for a character
  CHECK(told.finish == FinishReason::length);
  CHECK(told.stats.thinking_tokens == 30 - 13 - 4);
  params.reasoning.answer_reserve = -1;  // a quarter
  CHECK(tell(std::string(120, 'a'), params).stats.thinking_tokens == 30 - 7 - 3 - 4);
  params.reasoning.answer_reserve = 1000;  // all that there is
  CHECK(tell(std::string(120, 'a'), params).ids == "\n</think>\n\n" + std::string(26, 'a'));
  params.max_new_tokens = 4;  // no room for newlines
  CHECK(tell(std::string(120, 'a'), params).ids == "</think>aaa");
}

TEST_CASE("reasoning: without max_new_tokens the context is what the reserve is kept of") {
  auto session = test_session({.context_length = 64});
  Script script(std::string(200, 'a'));
  GenerateParams params = controlled();
  params.reasoning.answer_reserve = 12;
  follow(*session, script, params);
  ask(*session, "Hi");
  const std::string ids = ids_text(watch(*session));
  REQUIRE(ids.find("</think>") != ids.npos);
  CHECK(ids.size() - (ids.find("</think>") + 10) == 15);
  CHECK(session->tokens().size() == 64);
}

TEST_CASE("reasoning: </think> is replaced until enough was thought, so many times") {
  GenerateParams params = controlled();
  params.reasoning.max_waits = 2;
  Told told = tell("ab</think>cd\n</think>ef</think>x", params);
  CHECK(told.ids == "ab\nWaitcd\nWaitef</think>x$");
  CHECK(told.stats.n_waits == 2);
  CHECK(told.stats.thinking_tokens == 8);
  CHECK(told.stats.think_end == ThinkEnd::model);
  params.reasoning.wait_text = "Hmm, ";
  // The end of the reply is not that of the thinking; behind a wait it is taken for it.
  CHECK(tell("ab</think>cd", params).ids == "ab\nHmm, cd\nHmm, \n</think>\n\n$");
  params = controlled();
  params.reasoning.min_tokens = 4;
  CHECK(tell("ab</think>cd</think>x", params).ids == "ab\nWaitcd</think>x$");
  CHECK(tell("abcd</think>x", params).ids == "abcd</think>x$");
  params.think_budget = 2;  // comes first
  CHECK(tell("ab</think>cd", params).ids == "ab\n</think>\n\n</think>cd$");
}

TEST_CASE("reasoning: a model that insists on </think> right behind a wait is let go") {
  GenerateParams params = controlled();
  params.reasoning.min_tokens = 1000;
  CHECK(tell("ab</think></think>x", params).ids == "ab\nWait</think>x$");
}

TEST_CASE("reasoning: an end token within the thinking closes the block instead") {
  const Told told = tell("ab$cd", controlled());
  CHECK(told.ids == "ab\n</think>\n\ncd$");
  CHECK(told.stats.think_end == ThinkEnd::model);
  GenerateParams params = controlled();
  params.reasoning.enabled = false;
  CHECK(tell("ab$cd", params).ids == "ab$");
}

TEST_CASE("reasoning: stop_thinking closes the block at the end of the line, from any thread") {
  for (const bool enabled : {true, false}) {
    auto session = test_session();
    Script script("abc\ndef\nghi");
    GenerateParams params = controlled();
    params.reasoning.enabled = enabled;
    params.reasoning.grace = 20;
    follow(*session, script, params);
    ask(*session, "Hi");
    const std::string first = ids_text(watch(*session, 5));
    std::thread([&] { session->stop_thinking(); }).join();
    CHECK(first + ids_text(watch(*session)) == "abc\ndef\n</think>\n\nghi$");
    CHECK(session->stats().think_end == ThinkEnd::user);
    ask(*session, "Ho");  // forgotten with the next prompt
    script.next = 0;
    CHECK(ids_text(watch(*session, 8)) == "abc\ndef\n");
  }
}

TEST_CASE("reasoning: what the user has stopped does not open again") {
  auto session = test_session();
  GenerateParams params = controlled();
  params.reasoning.grace = 2;
  params.max_new_tokens = 40;
  params.sampling.logit_bias = {{kThinkStart, 1e6f}};
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  session->stop_thinking();
  const std::vector<Seen> seen = watch(*session);
  CHECK(session->stats().think_end == ThinkEnd::user);
  CHECK(session->channel() == Channel::answer);
  CHECK(std::count_if(seen.begin(), seen.end(), [](const Seen& s) { return s.channel == Channel::thinking && !s.forced; }) <= 2);
}

TEST_CASE("reasoning: a loop in the thinking closes the block, one in the answer ends the reply") {
  GenerateParams params = controlled();
  params.reasoning.detect_loops = true;
  params.reasoning.grace = 32;
  std::string loop;
  while (loop.size() < 300) loop += "Wait, no. ";
  Told told = tell(loop + "</think>never", params);
  CHECK(told.stats.think_end == ThinkEnd::loop);
  CHECK(told.stats.thinking_tokens == 10 + 64);  // a period, and its repetition
  CHECK(told.ids.find("</think>") != told.ids.npos);
  told = tell("ab</think>So: " + loop, params);
  CHECK(told.finish == FinishReason::loop);
  CHECK(told.stats.answer_tokens == 3 + 10 + 64);  // the blank before it is part of the period
  params.reasoning.detect_loops = false;
  CHECK(tell("ab</think>So: " + loop, params).finish == FinishReason::stop);
}

TEST_CASE("reasoning: an answer is not blank, not even at the last token") {
  auto session = test_session();
  GenerateParams params = controlled();
  params.max_new_tokens = 12;
  params.reasoning.turn_budget = 0;
  params.sampling.logit_bias = {{'\n', 1e6f}, {kEos, 1e7f}};
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  const std::vector<Seen> seen = watch(*session);
  const std::string answer = text_of(seen, Channel::answer);
  CHECK(answer.find_first_not_of(" \n\t") != answer.npos);
  CHECK(seen.size() == 12);
  // A model that has nothing else to say ends all the same.
  params.sampling.logit_bias.clear();
  for (TokenId id = 0; id < 264; ++id)
    if (id != kEos) params.sampling.logit_bias.emplace_back(id, -std::numeric_limits<float>::infinity());
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  CHECK(watch(*session).back().id == kEos);
}

namespace {

// Nearly uniform over the vocabulary, with markers, ends, newlines and loops made likely in turn.
GenerateParams random_params(std::mt19937& random) {
  const auto up_to = [&](unsigned n) { return static_cast<std::int64_t>(random() % (n + 1)); };
  GenerateParams params;
  ReasoningParams& r = params.reasoning;
  r.enabled = true;
  if (random() % 3) params.think_budget = up_to(30);
  if (random() % 3 == 0) r.turn_budget = up_to(30);
  if (random() % 3 == 0) r.block_budget = up_to(15);
  r.grace = random() % 2 ? up_to(12) : 0;
  if (random() % 2) r.answer_reserve = up_to(40);
  r.min_tokens = random() % 3 ? 0 : up_to(20);
  r.max_waits = random() % 3 ? 0 : up_to(3);
  if (random() % 3 == 0) r.message = "Time is up.";
  params.sampling.temperature = random() % 4 ? 50.0f : 0.5f;
  params.sampling.seed = random();
  params.sampling.repetition_penalty = random() % 4 ? 1.0f : 1.2f;
  params.sampling.logit_bias = {{kThinkStart, static_cast<float>(random() % 300)}, {kThinkEnd, static_cast<float>(random() % 300)},
                                {kEos, static_cast<float>(random() % 300)},        {'\n', static_cast<float>(random() % 300)},
                                {' ', static_cast<float>(random() % 300)},         {0xf0, static_cast<float>(random() % 200)}};
  params.max_new_tokens = random() % 4 ? up_to(150) + 2 : 0;
  return params;
}

}  // namespace

TEST_CASE("reasoning: the promises hold for random settings under a model that says anything") {
  std::mt19937 random(11);
  auto session = test_session({.context_length = 160});
  const Tokenizer& tokenizer = *tiny_r1()->tokenizer();
  int n_answers = 0, n_cut = 0;
  for (int repeat = 0; repeat < 250; ++repeat) {
    const GenerateParams params = random_params(random);
    const ReasoningParams& r = params.reasoning;
    REQUIRE(session->set_generate_params(params).ok());
    ask(*session, random() % 2 ? "What is 347+85?" : "7");
    const std::size_t n_prompt = session->tokens().size();
    std::int64_t all = static_cast<std::int64_t>(160 - n_prompt);
    if (params.max_new_tokens > 0) all = std::min(all, params.max_new_tokens);
    const std::int64_t reserve = std::min(all, r.answer_reserve >= 0 ? r.answer_reserve : std::min<std::int64_t>(256, all / 4));
    // Room for the reserve, what closes the block, and the character that may be finished.
    const std::int64_t closing = 4 + (r.message.empty() ? 0 : 12);
    const bool has_room = all >= reserve + closing + 3;
    CAPTURE(repeat);
    std::int64_t n_thinking = 0, n_block = 0, n_done = 0, n_forced = 0;
    bool answering = false;
    std::string thinking, answer;
    std::vector<TokenId> ids;
    for (const Seen& seen : watch(*session)) {
      ids.push_back(seen.id);
      (seen.channel == Channel::thinking ? thinking : answer) += seen.text;
      if (seen.id == kThinkStart && answering) n_block = 0, answering = false;
      ++n_done;
      n_forced += seen.forced;
      const bool is_thinking = !answering;
      if (is_thinking && !seen.forced) {
        ++n_thinking;
        ++n_block;
        if (r.block_budget >= 0) CHECK(n_block <= r.block_budget + r.grace + 3);
      }
      if (seen.id == kThinkEnd && !answering) {
        answering = true;
        ++n_answers;
        // "\n\n" is still to be forced when the block was closed by force.
        const std::int64_t after = seen.forced ? 2 : 0;
        if (has_room) CHECK(all - n_done - after >= reserve);
        n_cut += seen.forced;
      }
    }
    const SessionStats stats = session->stats();
    CHECK(n_thinking == stats.thinking_tokens);
    CHECK(n_forced == stats.forced_tokens);
    CHECK(stats.thinking_tokens + stats.answer_tokens + stats.forced_tokens == n_done);
    if (params.think_budget >= 0) CHECK(stats.thinking_tokens <= params.think_budget + r.grace + 3);
    if (r.turn_budget >= 0) CHECK(stats.thinking_tokens <= r.turn_budget + r.grace + 3);
    // The answer is there, and is not blank.
    CHECK(answering);
    CHECK(answer.find_first_not_of(" \t\r\n\v\f") != answer.npos);
    // Split of the stream and of the whole: the same text.
    std::string whole_thinking, whole_answer;
    bool in_answer = false;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= ids.size(); ++i) {
      const bool marker = i < ids.size() && (ids[i] == kThinkStart || ids[i] == kThinkEnd);
      if (i < ids.size() && !marker) continue;
      std::string part = tokenizer.decode(std::span(ids).subspan(begin, i - begin), true).value();
      if (in_answer && begin > 0 && ids[begin - 1] == kThinkEnd) part.erase(0, std::min(part.find_first_not_of('\n'), part.size()));
      (in_answer ? whole_answer : whole_thinking) += part;
      begin = i + 1;
      if (marker) in_answer = ids[i] == kThinkEnd;
    }
    if (std::count(ids.begin(), ids.end(), kThinkEnd) == 1 && std::count(ids.begin(), ids.end(), kThinkStart) == 0) {
      CHECK(thinking == whole_thinking);
      CHECK(answer == whole_answer);
    }
  }
  CHECK(n_answers > 200);
  CHECK(n_cut > 50);
}

TEST_CASE("reasoning: the same seed gives the same tokens in slices, in batches and in forks") {
  std::mt19937 random(12);
  auto whole = test_session({.context_length = 128}), sliced = test_session({.context_length = 128, .prefill_chunk = 3}, 1);
  for (int repeat = 0; repeat < 40; ++repeat) {
    GenerateParams params = random_params(random);
    REQUIRE(whole->set_generate_params(params).ok());
    REQUIRE(sliced->set_generate_params(params).ok());
    ask(*whole, "What is 347+85?");
    ask(*sliced, "What is 347+85?");
    auto batched = std::move(whole->fork()).value();
    std::vector<Seen> in_slices, in_batch;
    for (;;) {
      TokenEvent event;
      const Status status = sliced->step(static_cast<std::int64_t>(random() % 3), event);
      if (status.code() == Code::pending) continue;
      if (!status.ok()) break;
      in_slices.push_back({event.id, event.channel, event.forced, std::string(event.text), event.logprob});
      if (random() % 16 == 0) {  // saved and restored in the middle
        const auto saved = sliced->save();
        REQUIRE(saved.ok());
        REQUIRE(sliced->restore(*saved).ok());
      }
    }
    auto other = std::move(whole->fork()).value();
    for (;;) {
      Session* const both[] = {batched.get(), other.get()};
      TokenEvent events[2];
      Status statuses[2];
      REQUIRE(Session::next_batch(both, events, statuses).ok());
      if (!statuses[0].ok()) break;
      in_batch.push_back({events[0].id, events[0].channel, events[0].forced, std::string(events[0].text), events[0].logprob});
      if (random() % 16 == 0) batched = std::move(batched->fork()).value();
    }
    const std::vector<Seen> at_once = watch(*whole);
    CAPTURE(repeat);
    CHECK(at_once == in_slices);
    CHECK(at_once == in_batch);
    CHECK(whole->stats().think_end == sliced->stats().think_end);
    CHECK(whole->stats().n_waits == sliced->stats().n_waits);
    CHECK(whole->finish_reason() == sliced->finish_reason());
  }
}

TEST_CASE("reasoning: a rewind takes waits, ends and the answer back") {
  auto session = test_session();
  Script script("ab</think>cd</think>efg");
  GenerateParams params = controlled();
  params.reasoning.max_waits = 1;
  follow(*session, script, params);
  ask(*session, "Hi");
  const std::size_t n_prompt = session->tokens().size();
  CHECK(ids_text(watch(*session)) == "ab\nWaitcd</think>efg$");
  REQUIRE(session->rewind(n_prompt + 9).ok());  // ab\nWaitcd
  CHECK(session->stats().n_waits == 1);
  CHECK(session->stats().think_end == ThinkEnd::none);
  CHECK(session->channel() == Channel::thinking);
  REQUIRE(session->rewind(n_prompt + 1).ok());
  CHECK(session->stats().n_waits == 0);
  script = Script("x</think>y</think>z");
  CHECK(ids_text(watch(*session)) == "x\nWaity</think>z$");
}

TEST_CASE("reasoning: settings that cannot be are refused by name") {
  auto session = test_session();
  const auto refused = [&](auto change) {
    GenerateParams params = controlled();
    change(params.reasoning);
    const Status status = session->set_generate_params(params);
    CHECK(status.code() == Code::invalid_argument);
    return std::string(status.message());
  };
  CHECK(refused([](ReasoningParams& r) { r.grace = -1; }).starts_with("grace: -1"));
  CHECK(refused([](ReasoningParams& r) { r.turn_budget = -2; }).starts_with("turn_budget: -2"));
  CHECK(refused([](ReasoningParams& r) { r.message = std::string(5000, 'x'); }).starts_with("message: 5000 bytes"));
  CHECK(refused([](ReasoningParams& r) { r.message = "\xff"; }).find("UTF-8") != std::string::npos);
  CHECK(refused([](ReasoningParams& r) { r.wait_text = "\xff", r.max_waits = 1; }).find("UTF-8") != std::string::npos);
}
