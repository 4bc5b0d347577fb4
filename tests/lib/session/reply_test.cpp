// The text of a reply: channels, characters, stop strings, limits. Replies are scripted.
#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

struct Texts {
  std::string thinking, answer;
  bool operator==(const Texts&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Texts& t) { return out << '[' << t.thinking << "|" << t.answer << ']'; }

// The prompt has opened the thinking.
Texts reply_texts(std::string_view text, GenerateParams params = {}) {
  auto session = test_session();
  Script script(text);
  follow(*session, script, params);
  ask(*session, "Hi");
  const std::vector<Seen> seen = watch(*session);
  CHECK(session->finish_reason() == FinishReason::stop);
  return {text_of(seen, Channel::thinking), text_of(seen, Channel::answer)};
}

GenerateParams stopping_at(std::vector<std::string> stop) {
  GenerateParams params;
  params.stop = std::move(stop);
  return params;
}

}  // namespace

TEST_CASE("reply: newlines after </think> are not part of the answer, later ones are") {
  CHECK(reply_texts("a\nb\n</think>\n\nc\n\nd") == Texts{"a\nb\n", "c\n\nd"});
  CHECK(reply_texts("a</think>b") == Texts{"a", "b"});
  CHECK(reply_texts("</think>\n\n") == Texts{"", ""});
}

TEST_CASE("reply: </think> in an answer has no text and changes nothing else") {
  CHECK(reply_texts("a</think>b</think>\n\nc") == Texts{"a", "b\n\nc"});
  CHECK(reply_texts("a</think>12</think>34", stopping_at({"99"})) == Texts{"a", "1234"});
}

TEST_CASE("reply: thinking can open again in an answer") {
  CHECK(reply_texts("a</think>b<think>\nc</think>\nd") == Texts{"ac", "bd"});
}

TEST_CASE("reply: a reply may end within the thinking") {
  CHECK(reply_texts("abc$") == Texts{"abc", ""});
  CHECK(reply_texts("ab\xc3$") == Texts{"ab\xef\xbf\xbd", ""});
}

TEST_CASE("reply: characters are never cut, and unfinished ones become U+FFFD at the end of their channel") {
  auto session = test_session();
  Script script("é\xe2\x82</think>€\xf0\x9f\x98\x80\xe2");
  follow(*session, script);
  ask(*session, "Hi");
  const std::vector<Seen> seen = watch(*session);
  CHECK(text_of(seen, Channel::thinking) == "é\xef\xbf\xbd");
  CHECK(text_of(seen, Channel::answer) == "€\xf0\x9f\x98\x80\xef\xbf\xbd");
  CHECK(seen[0].text.empty());
  CHECK(seen[1].text == "é");
  CHECK(seen[4].id == kThinkEnd);  // carries the text of what it ends
  CHECK(seen[4].text == "\xef\xbf\xbd");
  CHECK(seen[4].channel == Channel::thinking);
}

TEST_CASE("reply: stop strings are for the answer and are not met across </think>") {
  CHECK(reply_texts("xENDy</think>zENDw", stopping_at({"END"})) == Texts{"xENDy", "z"});
  CHECK(reply_texts("xE</think>NDzENDw", stopping_at({"END"})) == Texts{"xE", "NDz"});
  CHECK(reply_texts("x</think>E<think>ND</think>ND END", stopping_at({"END"})) == Texts{"xND", "END "});
}

TEST_CASE("reply: the stop string that comes first counts, with characters of several bytes too") {
  CHECK(reply_texts("</think>abcdef", stopping_at({"de", "cd", "bcdefg"})) == Texts{"", "ab"});
  CHECK(reply_texts("</think>preis 5€ and more", stopping_at({"€ a"})) == Texts{"", "preis 5"});
  CHECK(reply_texts("</think>aaab", stopping_at({"aab"})) == Texts{"", "a"});
  CHECK(reply_texts("</think>a\xe2z", stopping_at({"\xef\xbf\xbdz"})) == Texts{"", "a"});
}

TEST_CASE("reply: a stop string may be met by what the end of the reply completes") {
  CHECK(reply_texts("</think>ab\xe2", stopping_at({"b\xef\xbf\xbd"})) == Texts{"", "a"});
}

TEST_CASE("reply: stop ids end a reply beside the end token, and </think> may be one") {
  GenerateParams params;
  params.stop_ids = {'x'};
  CHECK(reply_texts("ab</think>cxd", params) == Texts{"ab", "c"});
  params.stop_ids = {kThinkEnd};
  CHECK(reply_texts("ab</think>cxd", params) == Texts{"ab", ""});
  params.ignore_eos = true;  // of the model only
  CHECK(reply_texts("ab$c</think>", params) == Texts{"abc", ""});
}

TEST_CASE("reply: what follows the end is the end") {
  auto session = test_session();
  Script script("a</think>b");
  follow(*session, script);
  ask(*session, "Hi");
  watch(*session);
  TokenEvent event;
  for (int i = 0; i < 3; ++i) CHECK(session->next(event).code() == Code::end);
  CHECK(event.id == -1);
  CHECK(event.text.empty());
  CHECK(session->step(0, event).code() == Code::end);
  const SessionStats stats = session->stats();
  CHECK(stats.thinking_tokens == 2);
  CHECK(stats.answer_tokens == 2);
}

TEST_CASE("reply: with the end token ignored it goes on and has no text of its own") {
  auto session = test_session();
  Script script("a</think>b$c$d");
  GenerateParams params;
  params.ignore_eos = true;
  params.max_new_tokens = 7;
  follow(*session, script, params);
  ask(*session, "Hi");
  const std::vector<Seen> seen = watch(*session);
  CHECK(text_of(seen, Channel::answer) == "bcd");
  CHECK(session->finish_reason() == FinishReason::length);
}

TEST_CASE("reply: other stop strings in the middle of one find what was held back") {
  auto session = test_session();
  Script script("</think>abcdefg");
  follow(*session, script, stopping_at({"abcx"}));
  ask(*session, "Hi");
  CHECK(text_of(watch(*session, 4), Channel::answer).empty());  // "abc" is held back
  follow(*session, script, stopping_at({"cde"}));
  CHECK(text_of(watch(*session), Channel::answer) == "ab");
  script.next = 0;
  follow(*session, script, stopping_at({"abcx"}));
  ask(*session, "Hi");
  watch(*session, 4);
  follow(*session, script);
  CHECK(text_of(watch(*session), Channel::answer) == "abcdefg");
}

TEST_CASE("reply: a new prompt forgets what was held back") {
  auto session = test_session();
  Script script("</think>ab");
  follow(*session, script, stopping_at({"abc"}));
  ask(*session, "Hi");
  watch(*session, 3);
  script = Script("</think>c");
  follow(*session, script, stopping_at({"abc"}));
  ask(*session, "Ho");
  CHECK(text_of(watch(*session), Channel::answer) == "c");
}

TEST_CASE("reply: ids that pad the vocabulary are never part of it") {
  auto session = test_session();
  GenerateParams params;  // 263 pads the vocabulary
  params.sampling.logit_bias = {{263, 1e6f}};
  params.max_new_tokens = 50;
  for (float temperature : {0.0f, 5.0f}) {
    params.sampling.temperature = temperature;
    REQUIRE(session->set_generate_params(params).ok());
    ask(*session, "What is 347+85?");
    for (const Seen& seen : watch(*session)) CHECK(seen.id < 263);
  }
}

TEST_CASE("reply: an error ends it, and other parameters go on") {
  auto session = test_session();
  Script script("ab");
  GenerateParams params;
  follow(*session, script, params);
  ask(*session, "Hi");
  watch(*session, 2);
  for (TokenId id = 0; id < 263; ++id) params.sampling.logit_bias.emplace_back(id, -std::numeric_limits<float>::infinity());
  REQUIRE(session->set_generate_params(params).ok());
  TokenEvent event;
  CHECK(session->next(event).code() == Code::numeric);
  CHECK(session->finish_reason() == FinishReason::error);
  CHECK(session->next(event).code() == Code::end);
  CHECK(session->tokens().size() == chat_ids("Hi").size() + 2);
  REQUIRE(session->set_generate_params({}).ok());
  CHECK(session->next(event).ok());
}

TEST_CASE("reply: the logprobs of its events are those of the whole text") {
  auto session = test_session();
  ask(*session, "What is 347+85?");
  const std::size_t n_prompt = session->tokens().size();
  const std::vector<Seen> seen = watch(*session);
  const auto logprobs = session->prompt_logprobs();
  REQUIRE(logprobs.ok());
  double sum = 0, want = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CHECK(seen[i].logprob == (*logprobs)[n_prompt + i]);  // exact compute: to the last bit
    sum += seen[i].logprob, want += (*logprobs)[n_prompt + i];
  }
  CHECK(sum == want);
  CHECK(sum < 0);
}
