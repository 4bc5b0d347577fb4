#include <map>
#include <cstring>

#include "tests/cli/program.h"

using namespace ponder::test;
using nlohmann::json;

namespace {

std::vector<json> tokenize(std::vector<std::string> options, const std::string& input) {
  options.insert(options.begin(), {"tokenize", "--tokenizer", kTinyR1});
  const Outcome outcome = run_program(options, input);
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 0);
  std::vector<json> out;
  for (const std::string& line : lines(outcome.out)) out.push_back(json::parse(line));
  return out;
}

}  // namespace

TEST_CASE("tokenize --jsonl: one line out per line in, errors among them") {
  const auto out = tokenize({"--jsonl"}, "{\"text\":\"ab\"}\n\nnonsense\n{\"text\":5}\n{\"text\":\"\"}\n{\"text\":\"a\\u0000b\"}\n[1]\n{\"text\":\"\\ud800\"}\n{\"text\":\"z\"}");
  REQUIRE(out.size() == 9);
  CHECK(out[0]["ids"] == json({97, 98}));
  CHECK(out[0]["decoded"] == "ab");
  for (int i : {1, 2, 3, 6, 7}) {
    CAPTURE(i);
    CHECK(out[static_cast<std::size_t>(i)].contains("error"));
    CHECK(out[static_cast<std::size_t>(i)].size() == 1);
  }
  CHECK(out[4]["ids"] == json::array());
  CHECK(out[4]["decoded"] == "");
  CHECK(out[5]["ids"] == json({97, 0, 98}));
  CHECK(out[5]["decoded"] == std::string("a\0b", 3));
  CHECK(out[8]["ids"] == json({122}));
}

TEST_CASE("tokenize: special tokens only with --special, BOS only with --bos, kept in decoding unless --skip-special") {
  const std::string line = "{\"text\":\"<think>x<｜end▁of▁sentence｜>\"}\n";
  CHECK(tokenize({"--jsonl"}, line)[0]["ids"].size() > 10);
  CHECK(tokenize({"--jsonl", "--special"}, line)[0]["ids"] == json({260, 120, 257}));
  CHECK(tokenize({"--jsonl", "--special"}, line)[0]["decoded"] == "<think>x<｜end▁of▁sentence｜>");
  CHECK(tokenize({"--jsonl", "--special", "--bos"}, line)[0]["ids"] == json({256, 260, 120, 257}));
  const std::string skipped = tokenize({"--jsonl", "--special", "--skip-special"}, line)[0]["decoded"];
  CHECK(skipped.find("end") == std::string::npos);
}

TEST_CASE("tokenize --decode: ids to text, wrong ids to errors") {
  const auto out = tokenize({"--decode", "--jsonl"}, "{\"ids\":[104,105]}\n{\"ids\":[]}\n{\"ids\":[-1]}\n{\"ids\":[99999]}\n{\"ids\":[1.5]}\n{\"ids\":[195]}\n{}");
  REQUIRE(out.size() == 7);
  CHECK(out[0]["text"] == "hi");
  CHECK(out[1]["text"] == "");
  for (std::size_t i : {2, 3, 4, 6}) CHECK(out[i].contains("error"));
  CHECK(out[5]["text"] == "\xef\xbf\xbd");
}

TEST_CASE("tokenize: a folder with nothing but tokenizer.json, the file itself, and what is missing") {
  const Folder folder;
  const std::string file = folder.write("tokenizer.json", read_file(kTinyR1 + "/tokenizer.json"));
  for (const std::string& path : {folder.file(""), file}) {
    const Outcome outcome = run_program({"tokenize", "--tokenizer", path, "--jsonl"}, "{\"text\":\"a\"}\n");
    CHECK(json::parse(outcome.out)["ids"] == json({97}));
  }
  const Outcome missing = run_program({"tokenize", "--tokenizer", "/nowhere", "--jsonl"}, "{\"text\":\"a\"}\n");
  CHECK(missing.exit_code != 0);
  CHECK(missing.err.find("/nowhere") != std::string::npos);
}

TEST_CASE("template: built-in formats and a model's own, byte for byte, with and without the generation prompt") {
  const json goldens = json::parse(read_file(PONDER_TEST_DATA "/chat/chat.golden.json"));
  const Folder folder;
  std::map<std::string, std::string> builtin = {{"deepseek_v3", "deepseek-v3"}, {"deepseek_r1", "deepseek-r1"}, {"r1_distill", "r1-distill"}};
  std::size_t compared = 0;
  for (const json& conversation : goldens["conversations"]) {
    const std::string name = conversation["name"];
    json input = {{"messages", conversation["messages"]}};
    if (conversation.contains("add_generation_prompt")) input["add_generation_prompt"] = conversation["add_generation_prompt"];
    const std::string messages = folder.write("m.json", input.dump());
    for (const auto& [golden_name, builtin_name] : builtin) {
      if (!goldens["renders"][golden_name].contains(name)) continue;
      const std::string format = builtin_name;  // a binding cannot be captured
      CAPTURE(name);
      CAPTURE(format);
      const Outcome outcome = run_program({"template", "--builtin", format, "--messages", messages});
      CHECK(outcome.out == goldens["renders"][golden_name][name]["text"].get<std::string>());
      ++compared;
    }
  }
  CHECK(compared > 20);
  const std::string messages = folder.write("one.json", R"([{"role":"user","content":"1+1"}])");
  CHECK(run_program({"template", "--tokenizer", kTinyR1, "--messages", messages}).out ==
        "<｜begin▁of▁sentence｜><｜User｜>1+1<｜Assistant｜><think>\n");
  CHECK(run_program({"template", "--tokenizer", kTinyR1, "--messages", messages, "--no-generation-prompt"}).out ==
        "<｜begin▁of▁sentence｜><｜User｜>1+1");
}

TEST_CASE("template: a variable from --kwarg reaches the template") {
  const Folder folder;
  folder.write("tokenizer.json", read_file(kTinyR1 + "/tokenizer.json"));
  folder.write("tokenizer_config.json", json({{"chat_template", "{{ 'on' if enable_thinking else 'off' }} {{ word }}"}}).dump());
  const std::string messages = folder.write("m.json", R"([{"role":"user","content":"x"}])");
  CHECK(run_program({"template", "--tokenizer", folder.file(""), "--messages", messages, "--kwarg", "enable_thinking=true", "--kwarg",
                "word=two"}).out == "on two");
  CHECK(run_program({"template", "--tokenizer", folder.file(""), "--messages", messages}).out == "off ");
}

TEST_CASE("template: enable_thinking=false and content in parts reach the built-in formats") {
  const Folder folder;
  const std::string messages = folder.write("m.json", R"([{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"+1"}]}])");
  const auto render = [&](const char* name) {
    return run_program({"template", "--builtin", name, "--messages", messages, "--kwarg", "enable_thinking=false"}).out;
  };
  CHECK(render("deepseek-r1") == "<｜begin▁of▁sentence｜><｜User｜>1+1<｜Assistant｜><think>\n\n</think>\n\n");
  CHECK(render("deepseek-v3") == "<｜begin▁of▁sentence｜><｜User｜>1+1<｜Assistant｜>");
  CHECK(render("deepseek-v2") == "<｜begin▁of▁sentence｜>User: 1+1\n\nAssistant:");
  const std::string image = folder.write("i.json", R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])");
  const Outcome refused = run_program({"template", "--builtin", "deepseek-r1", "--messages", image});
  CHECK(refused.exit_code != 0);
  CHECK(refused.err.find("messages[0].content[0] is of type 'image_url'") != std::string::npos);
}

TEST_CASE("embed: one vector per line, the same from -p, of length 1 with --normalize") {
  const std::vector<std::string> options{"embed", "-m", kTinyR1, "--compute", "exact", "--normalize"};
  const Outcome piped = run_program(options, "What is 3+4?\n\nabc\n");
  CAPTURE(piped.err);
  REQUIRE(piped.exit_code == 0);
  const std::vector<std::string> vectors = lines(piped.out);
  REQUIRE(vectors.size() == 3);
  std::vector<std::string> given = options;
  given.insert(given.end(), {"-p", "abc"});
  CHECK(lines(run_program(given, "").out) == std::vector<std::string>{vectors[2]});
  double square = 0;
  for (const double v : json::parse(vectors[0]).get<std::vector<double>>()) square += v * v;
  CHECK(square == doctest::Approx(1));
  given.insert(given.end(), {"--pooling", "last"});
  CHECK(lines(run_program(given, "").out) != std::vector<std::string>{vectors[2]});
}
