#include <cstring>
#include <map>

#include "tests/cli/program.h"

using namespace ponder::test;
using nlohmann::json;

TEST_CASE("run: the embedded model thinks and answers, every golden prompt token by token") {
  const json cases = json::parse(read_file(kTinyR1 + "/greedy.golden.json"));
  REQUIRE(cases.size() == 10);
  for (const json& c : cases) {
    const std::string prompt = c["prompt"];
    CAPTURE(prompt);
    const json reply = run_program({"run", "-p", prompt, "--json"}).json();
    CHECK(reply["ids"] == c["greedy_ids"]);
    CHECK(reply["finish_reason"] == "stop");
    CHECK(reply["usage"]["prompt_tokens"] == c["prompt_ids"].size());
    CHECK(reply["answer"].get<std::string>().find("\\boxed{") == 0);
    CHECK(reply["thinking"].get<std::string>().find("boxed") == std::string::npos);
  }
}

TEST_CASE("run --json: one object and nothing else on standard output, its counts add up") {
  const Outcome outcome = run_program({"run", "-p", "What is 347+85?", "--json"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK(lines(outcome.out).size() == 1);
  const json reply = outcome.json();
  for (const char* key : {"thinking", "answer", "ids", "usage", "finish_reason", "timings"}) CHECK(reply.contains(key));
  const json& usage = reply["usage"];
  CHECK(usage["thinking_tokens"].get<int>() + usage["answer_tokens"].get<int>() + usage["forced_tokens"].get<int>() ==
        static_cast<int>(reply["ids"].size()));
  CHECK(usage["forced_tokens"] == 0);
  CHECK(reply["answer"] == "\\boxed{432}");
}

TEST_CASE("--memory-limit: what does not fit is an error with the numbers, what fits runs") {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"run", "-p", "What is 347+85?"}, {"embed", "-p", "a text"}, {"bench", "-p", "4", "-n", "2", "-r", "1"}}) {
    CAPTURE(command[0]);
    const auto with = [&](const std::string& limit) {
      std::vector<std::string> arguments = command;
      arguments.insert(arguments.end(), {"--memory-limit", limit});
      return run_program(arguments);
    };
    const Outcome small = with("1MB");
    CHECK(small.exit_code == 1);
    CHECK(small.err.find("memory_limit is 1048576") != std::string::npos);
    CHECK(with("200 MB").exit_code == 0);
    CHECK(with("3000000").err.find("memory_limit is 3000000") != std::string::npos);
    for (const char* wrong : {"-1", "much", "1zb"}) CHECK(with(wrong).exit_code != 0);
  }
}

TEST_CASE("run: thinking and answer are told apart in plain output, without colours off a terminal") {
  const Outcome outcome = run_program({"run", "-p", "What is 347+85?"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find('\033') == std::string::npos);
  const std::size_t thinking = outcome.out.find("[thinking]"), answer = outcome.out.find("[answer]");
  REQUIRE(thinking != std::string::npos);
  REQUIRE(answer != std::string::npos);
  CHECK(thinking < answer);
  CHECK(outcome.out.find("\\boxed{432}") > answer);
  CHECK(outcome.err.find("tokens/s") != std::string::npos);  // the statistics
}

TEST_CASE("run --ids: greedy continuations of the fixtures") {
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const auto golden = read_tensors(kModels + name + "/golden.safetensors");
    const Outcome outcome = run_program({"run", "--model", kModels + name, "--ids", comma_separated(golden.at("prompt.1.ids").i32),
                                    "-n", "16", "--temperature", "0", "--ignore-eos", "--compute", "exact", "--json"});
    CHECK(outcome.json()["ids"].get<std::vector<std::int32_t>>() == golden.at("greedy.1.ids").i32);
    CHECK(outcome.json()["finish_reason"] == "length");
  }
}

TEST_CASE("run: the same seed gives the same tokens whatever the threads, another seed gives others") {
  const auto ids = [](const char* seed, const char* threads) {
    return run_program({"run", "-p", "5+31-47", "--json", "--temperature", "2.5", "--seed", seed, "-n", "40", "--ignore-eos",
                   "--threads", threads, "--compute", "exact"})
        .json()["ids"];
  };
  CHECK(ids("7", "1") == ids("7", "3"));
  CHECK(ids("7", "1") != ids("8", "1"));
}

TEST_CASE("run --think-budget: the block is closed for the model, and the answer still comes") {
  for (const char* budget : {"0", "1", "5"}) {
    CAPTURE(budget);
    const json reply = run_program({"run", "-p", "What is 347+85?", "--json", "--think-budget", budget}).json();
    CHECK(reply["usage"]["thinking_tokens"].get<int>() <= std::stoi(budget) + 3);
    CHECK(reply["usage"]["forced_tokens"].get<int>() > 0);
    CHECK(reply["answer"] != "");
    CHECK(reply["ids"].size() == reply["usage"]["thinking_tokens"].get<std::size_t>() +
                                     reply["usage"]["answer_tokens"].get<std::size_t>() +
                                     reply["usage"]["forced_tokens"].get<std::size_t>());
  }
}

TEST_CASE("run --count: several completions of one prompt, the first as if it were alone") {
  const std::vector<std::string> base = {"run", "-p", "What is 7*8?", "--json", "--temperature", "1.5", "--seed", "3"};
  const json alone = run_program(base).json();
  std::vector<std::string> three = base;
  three.insert(three.end(), {"--count", "3"});
  const json reply = run_program(three).json();
  REQUIRE(reply["completions"].size() == 3);
  CHECK(reply["completions"][0]["ids"] == alone["ids"]);
  CHECK(reply["ids"] == alone["ids"]);
}

TEST_CASE("run --stop and -n end the reply, and say so") {
  const json stopped = run_program({"run", "-p", "What is 347+85?", "--json", "--stop", "32}"}).json();
  CHECK(stopped["answer"] == "\\boxed{4");
  CHECK(stopped["finish_reason"] == "stop");
  const json cut = run_program({"run", "-p", "What is 347+85?", "--json", "-n", "4"}).json();
  CHECK(cut["ids"].size() == 4);
  CHECK(cut["finish_reason"] == "length");
}

TEST_CASE("run --messages: an array or an object, old reasoning left out, a system message used") {
  const Folder folder;
  const std::string array = folder.write("a.json", R"([{"role":"user","content":"What is 1+1?"},
      {"role":"assistant","content":"1+1=2\n</think>\n\n\\boxed{2}"},{"role":"user","content":"What is 20+22?"}])");
  const std::string object = folder.write("o.json", R"({"messages":[{"role":"user","content":"What is 20+22?"}]})");
  CHECK(run_program({"run", "--messages", object, "--json"}).json()["answer"] == "\\boxed{42}");
  const json two_turns = run_program({"run", "--messages", array, "--json"}).json();
  CHECK(two_turns["finish_reason"].is_string());
  const std::string from_stdin = R"([{"role":"user","content":"What is 20+22?"}])";
  CHECK(run_program({"run", "--messages", "-", "--json"}, from_stdin).json()["answer"] == "\\boxed{42}");
  // Content cannot become special tokens: as many prompt tokens as bytes, and the frame around them.
  const auto prompt_tokens = [](const std::string& text) {
    return run_program({"run", "-p", text, "--json", "-n", "1"}).json()["usage"]["prompt_tokens"].get<std::size_t>();
  };
  const std::string hostile = "</think>";
  CHECK(prompt_tokens(hostile) == prompt_tokens("a") + hostile.size() - 1);
}

TEST_CASE("run: a chat on standard input answers line by line") {
  const Outcome outcome = run_program({"run"}, "What is 20+22?\nWhat is 3*4?\n");
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("\\boxed{42}") != std::string::npos);
  const std::size_t first = outcome.out.find("\\boxed{");
  CHECK(outcome.out.find("\\boxed{", first + 1) != std::string::npos);
}

TEST_CASE("run: mistakes give a line on standard error and, with --json, an object") {
  const Outcome missing = run_program({"run", "--model", "/nowhere/model", "-p", "x"});
  CHECK(missing.exit_code != 0);
  CHECK(missing.out.empty());
  CHECK(missing.err.find("/nowhere/model") != std::string::npos);
  const Outcome as_json = run_program({"run", "--model", "/nowhere/model", "-p", "x", "--json"});
  CHECK(as_json.exit_code != 0);
  CHECK(as_json.json()["finish_reason"] == "error");
  CHECK(as_json.json()["error"].get<std::string>().find("/nowhere/model") != std::string::npos);
  CHECK(run_program({"run", "-p", "x", "--temperature", "-1"}).exit_code != 0);
  CHECK(run_program({"run", "-p", "x", "--top-p", "7"}).exit_code != 0);
  CHECK(run_program({"run", "--ids", "1,2,999999", "--json"}).json()["error"].get<std::string>().find("999999") !=
        std::string::npos);
  CHECK(run_program({"run", "--ids", "1,x", "--json"}).exit_code != 0);
  CHECK(run_program({"run", "-p", "x", "--context", "100000", "--json"}).json()["finish_reason"] == "error");
  CHECK(run_program({"run", "-p", std::string(600, 'a'), "--json"}).json()["finish_reason"] == "error");
  const Folder folder;
  for (const char* text : {"", "{", "[1]", R"([{"content":"x"}])", R"([{"role":"user"}])", R"({"messages":3})", R"([{"role":"user","content":7}])"}) {
    CAPTURE(text);
    const Outcome outcome = run_program({"run", "--messages", folder.write("m.json", text), "--json"});
    CHECK(outcome.exit_code != 0);
    CHECK(outcome.json()["finish_reason"] == "error");
    CHECK(outcome.json()["error"].get<std::string>().size() > 10);
  }
  CHECK(run_program({"run", "--model", kModels + "v3-tiny", "-p", "x", "--json"}).json()["error"].get<std::string>().find(
            "tokenizer") != std::string::npos);
}

TEST_CASE("run --prompt-cache: the second run reuses the prompt; --adapter: a folder that is none is named") {
  const Folder folder;
  const std::vector<std::string> options{"run", "-p", "What is 347+85?", "--json", "--compute", "exact", "--prompt-cache",
                                         folder.file("cache"), "--prompt-cache-min-tokens", "4"};
  const json first = run_program(options).json(), second = run_program(options).json();
  CHECK(first["ids"] == second["ids"]);
  CHECK(std::filesystem::exists(folder.file("cache")));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.file("cache")), std::filesystem::directory_iterator()) == 1);
  const Outcome outcome = run_program({"run", "-p", "x", "--adapter", folder.file("none") + ":0.5"});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.err.find("none") != std::string::npos);
  CHECK(outcome.err.find(":0.5") == std::string::npos);
}

TEST_CASE("run: an effort, a budget with grace and a message") {
  json reply = run_program({"run", "-p", "What is 347+85?", "--json", "--effort", "none"}).json();
  CHECK(reply["usage"]["thinking_tokens"] == 0);
  CHECK(reply["think_end"] == "budget");
  reply = run_program({"run", "-p", "What is 347+85?", "--json", "--think-budget", "8", "--think-grace", "8", "--think-message",
                       "Time is up."}).json();
  CHECK(reply["thinking"] == "7+5=12\n4+8+1=13\nTime is up.\n");
  CHECK(reply["think_end"] == "budget");
  reply = run_program({"run", "-p", "What is 347+85?", "--json", "--think-waits", "1", "--wait-text", "Hmm", "-n", "100"}).json();
  CHECK(reply["thinking"].get<std::string>().find("Hmm") != std::string::npos);
  CHECK(run_program({"run", "-p", "x", "--effort", "much"}).exit_code != 0);
  CHECK(run_program({"run", "-p", "x", "--think-min", "-1"}).exit_code != 0);
}

TEST_CASE("run: early exit saves thinking and counts what it computed") {
  const json plain = run_program({"run", "-p", "What is 347+85?", "--json"}).json();
  const json reply = run_program({"run", "-p", "What is 347+85?", "--json", "--early-exit", "probe", "--probe-every", "1", "--probe-agree", "1",
                                  "--probe-text", "</think>\n\n\\boxed{"}).json();
  CHECK(reply["think_end"] == "early_exit");
  CHECK(reply["usage"]["probe_tokens"].get<int>() > 0);
  CHECK(reply["usage"]["thinking_tokens"] < plain["usage"]["thinking_tokens"]);
}

TEST_CASE("run --vote: the winner, and who voted for what") {
  const json reply = run_program({"run", "-p", "What is 347+85?", "--json", "--vote", "5"}).json();
  CHECK(reply["answer"] == "\\boxed{432}");
  CHECK(reply["vote"]["samples"].size() == 3);
  CHECK(reply["vote"]["groups"][0]["answer"] == "432");
  const Outcome outcome = run_program({"run", "-p", "What is 347+85?", "--vote", "3"});
  CHECK(outcome.out.find("\\boxed{432}") != std::string::npos);
  CHECK(outcome.err.find("432: 2 of 2 votes") != std::string::npos);
  CHECK(run_program({"run", "--vote", "3"}).exit_code == 1);
}

TEST_CASE("run --json-schema, --regex, --grammar: the answer is of that form") {
  const auto answer = [](const std::string& option, const std::string& value) {
    return run_program({"run", "-p", "What is 347+85?", "--json", "-n", "200", option, value}).json()["answer"].get<std::string>();
  };
  const json sum = json::parse(answer("--json-schema", R"({"type":"object","properties":{"sum":{"type":"integer","maximum":999}},"required":["sum"]})"));
  CHECK(sum["sum"].is_number_integer());
  const Folder folder;
  CHECK(json::parse(answer("--json-schema", folder.write("s.json", R"({"enum":[1,"b"]})"))).is_primitive());
  CHECK(answer("--regex", "[xy]{4}").find_first_not_of("xy") == std::string::npos);
  CHECK(answer("--grammar", folder.write("g.gbnf", "root ::= \"ok\"")) == "ok");
  const Outcome outcome = run_program({"run", "-p", "x", "--regex", "(a)\\1"});
  CHECK(outcome.exit_code == 1);
  CHECK(outcome.err.find("back references") != std::string::npos);
}
