// Sessions: creation, settings, prompts, a reply token by token.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

ponder_status create(const Tiny& tiny, const ponder_session_params& params, ponder_error& err) {
  ponder_session* session = nullptr;
  const ponder_status status = ponder_session_create(tiny.runtime.get(), tiny.model.get(), &params, &session, &err);
  ponder_session_free(session);
  return status;
}

ponder_status set(ponder_session* session, ponder_generate_params p, ponder_error& err) {
  return ponder_session_set_params(session, &p, &err);
}

}  // namespace

TEST_CASE("the default model answers, thinking and answer in their channels") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  CHECK(ponder_session_next_channel(session.get()) == PONDER_CHANNEL_THINKING);
  const Reply reply = generate(session.get());
  CHECK(reply.status == PONDER_END);
  CHECK(reply.thinking == "7+5=12\n4+8+1=13\n3+0+1=4\n347+85=432\n");
  CHECK(reply.answer == "\\boxed{432}");
  CHECK(reply.ids.size() == 50);
  CHECK(reply.ids.back() == 257);
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_STOP);
  CHECK(ponder_session_next_channel(session.get()) == PONDER_CHANNEL_ANSWER);
}

TEST_CASE("params of a session that make no sense are refused by name") {
  const Tiny tiny;
  ponder_error err;
  ponder_session_params p = ponder_session_params_default();
  p.flags = 0x80000000u;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"flags", "2147483648"});
  p = ponder_session_params_default(), p.context_length = -1;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"context_length", "-1"});
  p = ponder_session_params_default(), p.context_length = INT64_MAX;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"context_length", "512"});
  p = ponder_session_params_default(), p.n_threads = -2;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"n_threads", "-2"});
  p = ponder_session_params_default(), p.prefill_chunk = -3;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"prefill_chunk", "-3"});
  p = ponder_session_params_default(), p.compute = 3;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"compute", "3"});
  p = ponder_session_params_default(), p.kv_type = -1;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"kv_type", "-1"});
  p = ponder_session_params_default(), p.struct_size = 20;
  check_error(create(tiny, p, err), err, PONDER_E_INVALID_ARGUMENT, {"ponder_session_params", "20"});
}

TEST_CASE("settings of a reply that make no sense are refused by name and change nothing") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_error err;
  ponder_generate_params good = ponder_generate_params_default();
  good.max_new_tokens = 7;
  set_params(session.get(), good);
  const auto refuse = [&](auto change, std::initializer_list<std::string_view> parts) {
    ponder_generate_params p = ponder_generate_params_default();
    change(p);
    check_error(set(session.get(), p, err), err, PONDER_E_INVALID_ARGUMENT, parts);
  };
  using P = ponder_generate_params;
  const ponder_text no_data{nullptr, 3};
  refuse([](P& p) { p.flags = 4; }, {"flags", "4"});
  refuse([](P& p) { p.max_new_tokens = -1; }, {"max_new_tokens", "-1"});
  refuse([](P& p) { p.think_budget = -3; }, {"think_budget", "-3", "PONDER_THINK_NONE"});
  refuse([](P& p) { p.context_keep = -1; }, {"context_keep", "-1"});
  refuse([](P& p) { p.flags = PONDER_GENERATE_CONTEXT_SHIFT, p.context_keep = 512; }, {"context_keep", "512"});
  refuse([](P& p) { p.n_top_logprobs = -1; }, {"n_top_logprobs", "-1"});
  refuse([](P& p) { p.n_top_logprobs = 65; }, {"n_top_logprobs", "65", "64"});
  refuse([](P& p) { p.temperature = -1; }, {"temperature"});
  refuse([](P& p) { p.temperature = std::nanf(""); }, {"temperature"});
  refuse([](P& p) { p.mirostat = 1; }, {"mirostat"});
  refuse([](P& p) { p.n_logit_bias = 2; }, {"logit_bias"});
  refuse([](P& p) { p.n_stop = 2; }, {"stop"});
  refuse([](P& p) { p.n_stop_ids = 2; }, {"stop_ids"});
  refuse([&](P& p) { p.stop = &no_data, p.n_stop = 1; }, {"stop[0].data"});
  const std::int32_t bad_id = 264;
  refuse([&](P& p) { p.stop_ids = &bad_id, p.n_stop_ids = 1; }, {"stop_ids", "264"});
  const ponder_logit_bias bad_bias{264, 1};
  refuse([&](P& p) { p.logit_bias = &bad_bias, p.n_logit_bias = 1; }, {"logit_bias", "264"});
  P now{};
  now.struct_size = sizeof now;
  REQUIRE(ponder_session_get_params(session.get(), &now, &err) == PONDER_OK);
  CHECK(now.max_new_tokens == 7);
}

TEST_CASE("what is set can be read back, with the values that zeros stand for") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_error err;
  ponder_generate_params p = ponder_generate_params_r1(), now{};
  const ponder_text stops[] = {{"a\0b", 3}, {"end", 3}};
  const std::int32_t stop_ids[] = {5, 6, 7};
  const ponder_logit_bias biases[] = {{1, 2.5f}};
  p.stop = stops, p.n_stop = 2;
  p.stop_ids = stop_ids, p.n_stop_ids = 3;
  p.logit_bias = biases, p.n_logit_bias = 1;
  p.flags = PONDER_GENERATE_IGNORE_EOS | PONDER_GENERATE_CONTEXT_SHIFT;
  p.seed = UINT64_MAX;
  p.think_budget = 12;
  p.context_keep = 9;
  set_params(session.get(), p);
  now.struct_size = sizeof now;
  REQUIRE(ponder_session_get_params(session.get(), &now, &err) == PONDER_OK);
  CHECK(now.flags == p.flags);
  CHECK(now.seed == UINT64_MAX);
  CHECK(now.temperature == 0.6f);
  CHECK(now.top_p == 0.95f);
  CHECK(now.think_budget == 12);
  CHECK(now.context_keep == 9);
  CHECK(now.repetition_penalty == 1.0f);
  CHECK(now.mirostat_tau == 5.0f);
  CHECK(now.mirostat_eta == 0.1f);
  CHECK(now.xtc_threshold == 0.1f);
  CHECK(now.penalty_last_n == 64);
  CHECK(now.dry_base == 1.75f);
  CHECK(now.dry_allowed_length == 2);
  CHECK(now.dry_last_n == -1);
  REQUIRE(now.n_stop == 2);
  CHECK(std::string_view(now.stop[0].data, now.stop[0].size) == std::string_view("a\0b", 3));
  REQUIRE(now.n_stop_ids == 3);
  CHECK(now.stop_ids[2] == 7);
  REQUIRE(now.n_logit_bias == 1);
  CHECK(now.logit_bias[0].bias == 2.5f);
  REQUIRE(ponder_session_set_params(session.get(), nullptr, &err) == PONDER_OK);
  REQUIRE(ponder_session_get_params(session.get(), &now, &err) == PONDER_OK);
  CHECK(now.temperature == 0);
  CHECK(now.think_budget == 0);
  CHECK(now.n_stop == 0);
}

TEST_CASE("a thinking budget ends the thinking, and none at all begins with the answer") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_generate_params p = ponder_generate_params_default();
  p.think_budget = 6;
  set_params(session.get(), p);
  prompt(session.get());
  Reply reply = generate(session.get());
  CHECK(reply.thinking == "7+5=12\n");
  CHECK(reply.n_forced >= 2);
  p.think_budget = PONDER_THINK_NONE;
  set_params(session.get(), p);
  prompt(session.get());
  reply = generate(session.get());
  CHECK(reply.thinking == "\n");
  CHECK(reply.ids[1] == 261);
  ponder_session_stats stats{};
  stats.struct_size = sizeof stats;
  ponder_error err;
  REQUIRE(ponder_session_get_stats(session.get(), &stats, &err) == PONDER_OK);
  CHECK(stats.thinking_tokens == 0);
  CHECK(stats.forced_tokens == reply.n_forced);
}

TEST_CASE("limits: max_new_tokens ends a reply, a full context says so and leaves the session as it was") {
  const Tiny tiny;
  ponder_session_params sp = ponder_session_params_default();
  sp.context_length = 30;
  const Session session = tiny.session(sp);
  ponder_generate_params p = ponder_generate_params_default();
  p.max_new_tokens = 5;
  set_params(session.get(), p);
  prompt(session.get());
  Reply reply = generate(session.get());
  CHECK(reply.status == PONDER_END);
  CHECK(reply.ids.size() == 5);
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_LENGTH);
  p.max_new_tokens = 0;
  set_params(session.get(), p);
  reply = generate(session.get());
  check_error(reply.status, reply.err, PONDER_E_CONTEXT_FULL, {"30"});
  CHECK(reply.ids.size() == 5);
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_LENGTH);
  p.flags = PONDER_GENERATE_CONTEXT_SHIFT;
  p.max_new_tokens = 40;
  p.flags |= PONDER_GENERATE_IGNORE_EOS;
  set_params(session.get(), p);
  reply = generate(session.get());
  CHECK(reply.status == PONDER_END);
  CHECK(reply.ids.size() == 30);
}

TEST_CASE("stop strings and stop ids end the answer") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_generate_params p = ponder_generate_params_default();
  const ponder_text stop{"{43", 3};
  p.stop = &stop, p.n_stop = 1;
  set_params(session.get(), p);
  prompt(session.get());
  CHECK(generate(session.get()).answer == "\\boxed");
  p = ponder_generate_params_default();
  const std::int32_t stop_id = '{';
  p.stop_ids = &stop_id, p.n_stop_ids = 1;
  set_params(session.get(), p);
  prompt(session.get());
  CHECK(generate(session.get()).ids.back() == '{');
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_STOP);
}

TEST_CASE("prompts: an unknown id, no id, too many ids; the session is unchanged") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  ponder_error err;
  const std::int32_t bad[] = {1, 264}, negative[] = {-1};
  check_error(ponder_session_prompt_ids(session.get(), bad, 2, nullptr, nullptr, &err), err, PONDER_E_INVALID_ARGUMENT, {"264"});
  check_error(ponder_session_prompt_ids(session.get(), negative, 1, nullptr, nullptr, &err), err, PONDER_E_INVALID_ARGUMENT, {"-1"});
  check_error(ponder_session_prompt_ids(session.get(), nullptr, 0, nullptr, nullptr, &err), err, PONDER_E_INVALID_ARGUMENT);
  check_error(ponder_session_prompt_ids(session.get(), nullptr, 4, nullptr, nullptr, &err), err, PONDER_E_INVALID_ARGUMENT, {"ids"});
  const std::vector<std::int32_t> many(513, 'a');
  check_error(ponder_session_prompt_ids(session.get(), many.data(), many.size(), nullptr, nullptr, &err), err,
              PONDER_E_CONTEXT_FULL, {"513", "512"});
  check_error(ponder_session_append_ids(session.get(), many.data(), 500, nullptr, nullptr, &err), err, PONDER_E_CONTEXT_FULL, {"500"});
  check_error(ponder_session_prompt_text(session.get(), "\xff", 1, 0, nullptr, nullptr, &err), err, PONDER_E_INVALID_ARGUMENT, {"UTF-8"});
  check_error(ponder_session_prompt_text(session.get(), "a", 1, 2, nullptr, nullptr, &err), err, PONDER_E_INVALID_ARGUMENT, {"flags"});
  check_error(ponder_session_prompt_chat(session.get(), "[", 1, nullptr, 0, 0, nullptr, nullptr, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"messages_json"});
  check_error(ponder_session_prompt_chat(session.get(), "[]", 2, nullptr, 0, 8, nullptr, nullptr, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"flags"});
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("raw text, added ids and a chat of one message are the same prompt") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_error err;
  const std::string text = "<｜begin▁of▁sentence｜><｜User｜>What is 347+85?<｜Assistant｜><think>\n";
  const std::vector<std::int32_t> want = question_ids();
  std::vector<std::int32_t> ids(64);
  std::size_t count = 0;
  REQUIRE(ponder_session_prompt_text(session.get(), text.data(), text.size(), PONDER_ENCODE_SPECIAL, nullptr, nullptr, &err) == PONDER_OK);
  REQUIRE(ponder_session_tokens(session.get(), ids.data(), ids.size(), &count, &err) == PONDER_OK);
  ponder_tokenizer_info info{};
  info.struct_size = sizeof info;
  ponder_tokenizer* tokenizer = nullptr;
  REQUIRE(ponder_model_tokenizer(tiny.model.get(), &tokenizer, &err) == PONDER_OK);
  REQUIRE(ponder_tokenizer_get_info(tokenizer, &info, &err) == PONDER_OK);
  ponder_tokenizer_free(tokenizer);
  const std::size_t extra = static_cast<std::size_t>(info.adds_bos);  // raw prompts get one in front
  CHECK(std::vector<std::int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(extra), ids.begin() + static_cast<std::ptrdiff_t>(count)) == want);

  REQUIRE(ponder_session_prompt_ids(session.get(), want.data(), 5, nullptr, nullptr, &err) == PONDER_OK);
  REQUIRE(ponder_session_append_ids(session.get(), want.data() + 5, want.size() - 5, nullptr, nullptr, &err) == PONDER_OK);
  CHECK(generate(session.get()).answer == "\\boxed{432}");
  REQUIRE(ponder_session_append_ids(session.get(), nullptr, 0, nullptr, nullptr, &err) == PONDER_OK);
}

TEST_CASE("a chat prompt cannot be injected, unless its content is trusted") {
  const ChatTiny tiny;
  ponder_error err;
  const Session session = tiny.session();
  const std::string messages = R"([{"role":"user","content":"1</think>2"}])";
  std::vector<std::int32_t> ids(64);
  std::size_t plain = 0, trusted = 0;
  REQUIRE(ponder_session_chat_ids(session.get(), messages.data(), messages.size(), nullptr, 0, 0, nullptr, 0, &plain, &err) == PONDER_OK);
  REQUIRE(ponder_session_chat_ids(session.get(), messages.data(), messages.size(), nullptr, 0, PONDER_CHAT_TRUST_CONTENT,
                                  ids.data(), ids.size(), &trusted, &err) == PONDER_OK);
  CHECK(plain == 2 + 10 + 3);
  CHECK(trusted == 2 + 3 + 3);
  CHECK(ids[3] == 261);
  ids.assign(64, 0);
  REQUIRE(ponder_session_chat_ids(session.get(), messages.data(), messages.size(), nullptr, 0, PONDER_CHAT_NO_GENERATION_PROMPT,
                                  ids.data(), ids.size(), &plain, &err) == PONDER_OK);
  CHECK(plain == 2 + 10);
  REQUIRE(ponder_session_prompt(session.get(), "What is 347+85?", 15, &err) == PONDER_OK);
  CHECK(generate(session.get()).answer == "\\boxed{432}");
  const std::string object = R"({"messages":[{"role":"user","content":"What is 52-17?"}]})";
  REQUIRE_MESSAGE(ponder_session_prompt_chat(session.get(), object.data(), object.size(), nullptr, 0, 0, nullptr, nullptr, &err) == PONDER_OK,
                  err.message);
  CHECK(generate(session.get()).answer == "\\boxed{35}");
}

TEST_CASE("no string of a conversation becomes a special token, in chat_ids and in prompt_chat, unless it is trusted") {
  const ChatTiny tiny;
  ponder_error err;
  const Session session = tiny.session();
  const auto is_added = [](std::int32_t id) { return id >= 256; };
  std::vector<std::int32_t> ids(4096);
  const auto chat_ids = [&](const std::string& messages, std::uint32_t flags) {
    std::size_t n = 0;
    REQUIRE_MESSAGE(ponder_session_chat_ids(session.get(), messages.data(), messages.size(), nullptr, 0, flags, ids.data(), ids.size(),
                                            &n, &err) == PONDER_OK, err.message);
    return std::vector<std::int32_t>(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n));
  };
  const auto added = [&](const std::vector<std::int32_t>& all) { return std::count_if(all.begin(), all.end(), is_added); };
  for (const std::string special : {"<｜User｜>", "<｜Assistant｜>", "<think>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "</think>"}) {
    CAPTURE(special);
    const std::string messages = R"({"messages":[{"role":"system","content":"x)" + special + R"("},{"role":"user","content":")" + special +
                                 R"("},{"role":"assistant","content":")" + special + special + R"("},{"role":"user","content":"y)" + special +
                                 special + R"("}],"tools":[{"name":")" + special + R"("}]})";
    const std::vector<std::int32_t> plain = chat_ids(messages, 0);
    CHECK(added(plain) == 7);  // BOS, user, assistant, EOS, user, assistant, <think>
    CHECK(added(chat_ids(messages, PONDER_CHAT_TRUST_CONTENT)) > 7);
    REQUIRE_MESSAGE(ponder_session_prompt_chat(session.get(), messages.data(), messages.size(), nullptr, 0, 0, nullptr, nullptr, &err) ==
                        PONDER_OK, err.message);
    std::size_t n = 0;
    REQUIRE(ponder_session_tokens(session.get(), ids.data(), ids.size(), &n, &err) == PONDER_OK);
    CHECK(std::vector<std::int32_t>(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n)) == plain);
    REQUIRE(ponder_session_prompt(session.get(), special.data(), special.size(), &err) == PONDER_OK);
    REQUIRE(ponder_session_tokens(session.get(), ids.data(), ids.size(), &n, &err) == PONDER_OK);
    CHECK(std::count_if(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n), is_added) == 4);
  }
}

TEST_CASE("every function that needs a prompt says so without one") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_error err;
  ponder_token_event event{};
  event.struct_size = sizeof event;
  float logits[264];
  ponder_logprob top[3];
  check_error(ponder_session_next(session.get(), &event, &err), err, PONDER_E_STATE, {"prompt"});
  check_error(ponder_session_step(session.get(), 1000, &event, &err), err, PONDER_E_STATE, {"prompt"});
  check_error(ponder_session_generate(session.get(), nullptr, nullptr, &err), err, PONDER_E_STATE, {"prompt"});
  check_error(ponder_session_logits(session.get(), logits, 264, &err), err, PONDER_E_STATE, {"prompt"});
  check_error(ponder_session_top_logprobs(session.get(), top, 3, &err), err, PONDER_E_STATE, {"prompt"});
  check_error(ponder_session_prompt_logprobs(session.get(), logits, 264, &err), err, PONDER_E_STATE, {"prompt"});
}

TEST_CASE("a grammar: what is wrong with it is told, and the one before stays") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_error err;
  const auto set = [&](ponder_grammar kind, std::string_view text) {
    return ponder_session_set_grammar(session.get(), kind, text.data(), text.size(), &err);
  };
  CHECK(set(PONDER_GRAMMAR_REGEX, "[ab]{3}") == PONDER_OK);
  check_error(set(PONDER_GRAMMAR_JSON_SCHEMA, "{\"not\":{}}"), err, PONDER_E_UNSUPPORTED, {"'not'", "#"});
  check_error(set(PONDER_GRAMMAR_GBNF, "root ::= ("), err, PONDER_E_INVALID_ARGUMENT, {"line 1"});
  check_error(set(7, "x"), err, PONDER_E_INVALID_ARGUMENT, {"7"});
  ponder_generate_params params = ponder_generate_params_default();
  params.think_budget = PONDER_THINK_NONE;
  REQUIRE(ponder_session_set_params(session.get(), &params, &err) == PONDER_OK);
  REQUIRE(ponder_session_prompt(session.get(), "2+2", 3, &err) == PONDER_OK);
  std::string answer;
  ponder_token_event event{};
  event.struct_size = sizeof event;
  while (ponder_session_next(session.get(), &event, &err) == PONDER_OK)
    if (event.channel == PONDER_CHANNEL_ANSWER) answer.append(event.text, event.text_len);
  CHECK(answer.size() == 3);
  CHECK(answer.find_first_not_of("ab") == std::string::npos);
  CHECK(set(PONDER_GRAMMAR_NONE, "") == PONDER_OK);
}
