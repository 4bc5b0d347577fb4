#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"

namespace cli {

namespace {

struct Options {
  std::string tokenizer;
  std::string text;
  bool jsonl = false, special = false, bos = false, skip_special = false, decode = false;
};

using nlohmann::ordered_json;

ordered_json process(const ponder::Tokenizer& tokenizer, const Options& o, const std::string& line) {
  const std::uint32_t decode_flags = o.skip_special ? PONDER_DECODE_SKIP_SPECIAL : 0;
  const ordered_json in = ordered_json::parse(line);
  if (!in.is_object()) throw Failure{"want a JSON object"};
  ordered_json out;
  if (o.decode) {
    if (!in.contains("ids") || !in["ids"].is_array()) throw Failure{"want {\"ids\": [...]}"};
    std::vector<std::int32_t> ids;
    for (const auto& id : in["ids"]) {
      if (!id.is_number_integer() || id.get<double>() < 0 || id.get<double>() > INT32_MAX)
        throw Failure{"ids: " + id.dump() + " is no token id"};
      ids.push_back(id.get<std::int32_t>());
    }
    out["text"] = unwrap(tokenizer.decode(ids, decode_flags));
    return out;
  }
  if (!in.contains("text") || !in["text"].is_string()) throw Failure{"want {\"text\": \"...\"}"};
  const std::uint32_t flags = (o.special ? PONDER_ENCODE_SPECIAL : 0) | (o.bos ? PONDER_ENCODE_BOS : 0);
  const std::vector<std::int32_t> ids = unwrap(tokenizer.encode(in["text"].get<std::string>(), flags));
  out["ids"] = ids;
  out["decoded"] = unwrap(tokenizer.decode(ids, decode_flags));
  return out;
}

// Without --jsonl a line may be either; a text that is itself such an object needs --jsonl around it.
bool is_request(const std::string& line, bool decode) {
  if (!line.starts_with('{')) return false;
  const ordered_json in = ordered_json::parse(line, nullptr, false);
  return in.is_object() && in.contains(decode ? "ids" : "text");
}

void run(const Options& o) {
  const ponder::Tokenizer tokenizer = unwrap(ponder::Tokenizer::load(unwrap(ponder::Model::resolve(o.tokenizer))));
  const auto replace = ordered_json::error_handler_t::replace;
  std::string line;
  while (std::getline(std::cin, line)) {
    ordered_json out;
    try {
      if (!o.jsonl && !is_request(line, o.decode)) {  // plain text, or ids separated by commas
        ordered_json in;
        if (o.decode)
          in["ids"] = parse_ids(line);
        else
          in["text"] = line;
        line = in.dump();
      }
      out = process(tokenizer, o, line);
    } catch (const Failure& e) {
      out["error"] = e.message;
    } catch (const std::exception& e) {
      out["error"] = e.what();
    }
    std::printf("%s\n", out.dump(-1, ' ', false, replace).c_str());
    std::fflush(stdout);
  }
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("tokenize", "Token ids of text lines on standard input, or back");
  command->add_option("--tokenizer,-m,--model", o->tokenizer, "Folder with tokenizer.json, that file, or a GGUF file")->required();
  command->add_flag("--jsonl", o->jsonl, "Every line is {\"text\": ...} (with --decode {\"ids\": [...]}), never plain text");
  command->add_flag("--special", o->special, "Recognise special tokens in the text");
  command->add_flag("--bos", o->bos, "Put the beginning-of-sentence id in front");
  command->add_flag("--skip-special", o->skip_special, "Leave special tokens out when decoding");
  command->add_flag("--decode", o->decode, "Ids to text");
  command->callback([o] { run(*o); });
}

}  // namespace cli
