// The thinking budget and the channel that a prompt leaves open.
#include <random>

#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

GenerateParams with_budget(std::int64_t budget) {
  GenerateParams params;
  params.think_budget = budget;
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

std::string reply_ids(std::string_view script_text, std::int64_t budget) {
  auto session = test_session();
  Script script(script_text);
  follow(*session, script, with_budget(budget));
  ask(*session, "Hi");
  return ids_text(watch(*session));
}

Channel channel_after(std::string_view text) {
  auto session = test_session({.defer_prefill = true});
  REQUIRE(session->prompt_text(text, true).ok());
  return session->channel();
}

}  // namespace

TEST_CASE("thinking: the budget counts sampled tokens and the block is closed on a line of its own") {
  CHECK(reply_ids("abcdefgh", 3) == "abc\n</think>\n\ndefgh$");
  CHECK(reply_ids("ab\ndefgh", 3) == "ab\n</think>\n\ndefgh$");
  CHECK(reply_ids("abc", 0) == "\n</think>\n\nabc$");
  CHECK(reply_ids("abc", 1) == "a\n</think>\n\nbc$");
  CHECK(reply_ids("\nbc", 1) == "\n</think>\n\nbc$");
}

TEST_CASE("thinking: a block that ends by itself within the budget is left alone") {
  CHECK(reply_ids("ab</think>c", 3) == "ab</think>c$");
  CHECK(reply_ids("ab</think>c", 4) == "ab</think>c$");
  CHECK(reply_ids("$", 1) == "$");
}

TEST_CASE("thinking: a character that the budget would cut may be finished") {
  CHECK(reply_ids("a\xf0\x9f\x98\x80z", 2) == "a\xf0\x9f\x98\x80\n</think>\n\nz$");
  CHECK(reply_ids("\n\xe2\x82\xacz", 2) == "\n\xe2\x82\xac\n</think>\n\nz$");
  CHECK(reply_ids("a\xc3\xc3\xc3\xc3\xc3z", 2) == "a\xc3\xc3\xc3\xc3\n</think>\n\n\xc3z$");  // at most three
}

TEST_CASE("thinking: a second block has what the first has left over") {
  CHECK(reply_ids("ab</think>c<think>defg", 6) == "ab</think>c<think>de\n</think>\n\nfg$");
  auto session = test_session();  // nothing left: it cannot open
  GenerateParams params = with_budget(3);
  params.sampling.logit_bias = {{kThinkStart, 1e6f}};
  params.max_new_tokens = 30;
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  const std::vector<Seen> seen = watch(*session);
  CHECK(session->stats().thinking_tokens == 3);
  CHECK(std::count_if(seen.begin(), seen.end(), [](const Seen& s) { return s.id == kThinkStart; }) == 3);
}

TEST_CASE("thinking: never more sampled thinking tokens than the budget and three") {
  std::mt19937 random(3);
  auto session = test_session({.context_length = 128});
  for (int repeat = 0; repeat < 150; ++repeat) {
    GenerateParams params = with_budget(static_cast<std::int64_t>(random() % 20));
    params.sampling.temperature = 50;  // nearly uniform: bytes of characters begun and never finished, markers, ends
    params.sampling.seed = random();
    params.sampling.logit_bias = {{kThinkStart, static_cast<float>(random() % 400)},
                                  {kThinkEnd, static_cast<float>(random() % 300)}};
    params.ignore_eos = random() % 2 != 0;
    params.context_shift = random() % 4 == 0;
    params.max_new_tokens = static_cast<std::int64_t>(random() % 150);
    if (params.context_shift) params.max_new_tokens += 1;
    REQUIRE(session->set_generate_params(params).ok());
    ask(*session, random() % 2 ? "What is 347+85?" : "7");
    std::int64_t n_thinking = 0, n_forced = 0, n_answer = 0;
    for (const Seen& seen : watch(*session))
      ++(seen.forced ? n_forced : seen.channel == Channel::thinking ? n_thinking : n_answer);
    const SessionStats stats = session->stats();
    CHECK(stats.thinking_tokens <= params.think_budget + 3);
    CHECK(stats.forced_tokens == n_forced);
    CHECK(stats.thinking_tokens + stats.answer_tokens == n_thinking + n_answer);
  }
}

TEST_CASE("thinking: max_new_tokens counts forced tokens and may fall between them") {
  auto session = test_session();
  Script script("abcdef");
  GenerateParams params = with_budget(2);
  params.max_new_tokens = 4;
  follow(*session, script, params);
  ask(*session, "Hi");
  CHECK(ids_text(watch(*session)) == "ab\n</think>");
  CHECK(session->finish_reason() == FinishReason::length);
  params.max_new_tokens = 8;
  follow(*session, script, params);
  CHECK(ids_text(watch(*session)) == "\n\ncd");
}

TEST_CASE("thinking: a rewind into the forced tokens takes back what they were") {
  auto session = test_session();
  ask(*session, "What is 347+85?");
  const std::size_t n_prompt = session->tokens().size();
  REQUIRE(session->set_generate_params(with_budget(4)).ok());
  read_reply(*session, 20);
  REQUIRE(session->rewind(n_prompt + 5).ok());  // four of thinking and "\n", which was forced
  CHECK(session->stats().thinking_tokens == 4);
  CHECK(session->stats().forced_tokens == 1);
  REQUIRE(session->set_generate_params({}).ok());
  CHECK(session->channel() == Channel::thinking);
  CHECK(read_reply(*session, 1).events.at(0).channel == Channel::thinking);
  REQUIRE(session->rewind(n_prompt + 2).ok());
  REQUIRE(session->set_generate_params(with_budget(2)).ok());
  const Reply reply = read_reply(*session, 4);
  CHECK(reply.events.at(0).forced);
  CHECK(reply.ids.at(1) == kThinkEnd);
}

TEST_CASE("thinking: a context shift forgets tokens, not the channel and the counts") {
  auto session = test_session({.context_length = 40});
  Script script("<think>" + std::string(200, 'a') + "</think>" + std::string(40, 'b'));
  GenerateParams params;
  params.context_shift = true;
  follow(*session, script, params);
  REQUIRE(session->prompt_text("Hi", false).ok());
  CHECK(session->channel() == Channel::answer);
  const std::vector<Seen> seen = watch(*session, 150);
  CHECK(session->channel() == Channel::thinking);  // the <think> itself was dropped
  const SessionStats stats = session->stats();
  CHECK(stats.thinking_tokens == 150);
  REQUIRE(session->rewind(session->tokens().size() - 5).ok());
  CHECK(session->channel() == Channel::thinking);
  CHECK(session->stats().thinking_tokens == 145);
  CHECK(text_of(watch(*session), Channel::answer) == std::string(40, 'b'));
}

TEST_CASE("thinking: the channel of a prompt is that of its last marker, and no turn thinks for the next") {
  CHECK(channel_after("x<｜Assistant｜><think>\n\n</think>\n\n") == Channel::answer);  // enable_thinking=false
  CHECK(channel_after("<｜User｜>Hi<｜Assistant｜><think>\n") == Channel::thinking);
  CHECK(channel_after("<｜User｜>Hi<｜Assistant｜><think>\nhm</think>so") == Channel::answer);
  CHECK(channel_after("<｜User｜>Hi<｜Assistant｜>") == Channel::answer);
  CHECK(channel_after("<｜User｜>Hi<｜Assistant｜><think>\ncut off<｜User｜>Ho<｜Assistant｜>") == Channel::answer);
  CHECK(channel_after("<｜User｜>Hi<｜Assistant｜></think><think>") == Channel::thinking);
}

TEST_CASE("thinking: a model without think tokens answers at once whatever the budget") {
  auto loaded = Model::load(folder_source(std::string(PONDER_TEST_DATA) + "/models/v2lite-tiny"), {});
  REQUIRE(loaded.ok());
  auto session = std::move(Session::create(test_runtime(), *loaded, {})).value();
  REQUIRE(session->set_generate_params(with_budget(0)).ok());
  REQUIRE(session->prompt_ids(std::vector<TokenId>{1, 2, 3}).ok());
  const Reply reply = read_reply(*session, 5);
  CHECK(reply.ids.size() == 5);
  CHECK(session->stats().thinking_tokens == 0);
  CHECK(session->stats().forced_tokens == 0);
  CHECK(reply.answer.empty());  // no tokenizer, no text
}
