#include "lib/text/pre_tokenizer.h"

#include <algorithm>

#include "lib/base/format.h"

namespace ponder::core {

namespace {

// GPT-2's own pattern, which ByteLevel applies when use_regex is true.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// The joiners belong to \w of Rust's own regex engine, which Whitespace uses, but not to Oniguruma's.
constexpr std::string_view kWhitespacePattern = R"([\w\x{200c}\x{200d}]+|[^\w\s\x{200c}\x{200d}]+)";
constexpr std::string_view kPunctuationPattern = R"([!-/:-@\[-`{-~\p{P}])";

Result<bool> flag(const Json& object, const char* key, bool missing) {
  const Json* value = object.find(key);
  if (!value || value->is_null()) return missing;
  if (!value->is_bool())
    return fail(Code::bad_file, "tokenizer.json: pre_tokenizer.{} is {}, want true or false", key, value->type_name());
  return value->as_bool();
}

std::string type_of(const Json& step) {
  const Json* type = step.find("type");
  return type && type->is_string() ? type->as_string() : dump_json(step);
}

}  // namespace

Result<PreTokenizer::Behavior> PreTokenizer::behavior_of(const Json& step) {
  constexpr std::pair<std::string_view, Behavior> kBehaviors[] = {{"Isolated", Behavior::isolated},
                                                                  {"Removed", Behavior::removed},
                                                                  {"Contiguous", Behavior::contiguous},
                                                                  {"MergedWithPrevious", Behavior::merged_with_previous},
                                                                  {"MergedWithNext", Behavior::merged_with_next}};
  const Json* name = step.find("behavior");
  if (!name) return Behavior::isolated;
  for (const auto& [known, behavior] : kBehaviors)
    if (name->is_string() && name->as_string() == known) return behavior;
  return fail(Code::unsupported, "tokenizer.json: pre_tokenizer.behavior is {}", dump_json(*name));
}

Status PreTokenizer::add_pattern(Result<std::shared_ptr<const Pattern>> pattern, Behavior behavior, bool invert) {
  PONDER_TRY(Status(pattern.status()));
  steps_.push_back({std::move(pattern).value(), behavior, invert});
  return {};
}

Status PreTokenizer::add_split(const Json& step) {
  PONDER_ASSIGN(const Behavior behavior, behavior_of(step));
  PONDER_ASSIGN(const bool invert, flag(step, "invert", false));
  const Json* pattern = step.find("pattern");
  const Json* regex = pattern ? pattern->find("Regex") : nullptr;
  const Json* literal = pattern ? pattern->find("String") : nullptr;
  if (regex && regex->is_string()) return add_pattern(Pattern::regex(regex->as_string()), behavior, invert);
  if (literal && literal->is_string()) return add_pattern(Pattern::literal(literal->as_string()), behavior, invert);
  return fail(Code::bad_file, "tokenizer.json: Split pattern {}, want Regex or String",
              pattern ? dump_json(*pattern) : "missing");
}

Status PreTokenizer::add_step(const Json& step) {
  const std::string type = type_of(step);
  if (type == "Sequence") {
    const Json* steps = step.find("pretokenizers");
    if (!steps || !steps->is_array())
      return Status(Code::bad_file, "tokenizer.json: pre_tokenizer.pretokenizers is missing, want an array");
    for (const Json& inner : steps->as_array()) PONDER_TRY(add_step(inner));
    return {};
  }
  if (byte_level_) return fail(Code::unsupported, "tokenizer.json: pre_tokenizer {} behind ByteLevel, want ByteLevel last", type);
  if (type == "ByteLevel") {
    byte_level_ = true;
    PONDER_ASSIGN(const bool add_prefix_space, flag(step, "add_prefix_space", false));
    PONDER_ASSIGN(const bool use_regex, flag(step, "use_regex", true));
    if (add_prefix_space) steps_.push_back({});
    return use_regex ? add_pattern(Pattern::regex(kByteLevelPattern), Behavior::isolated) : Status();
  }
  if (type == "Split") return add_split(step);
  if (type == "Digits") {
    PONDER_ASSIGN(const bool individual, flag(step, "individual_digits", false));
    return add_pattern(Pattern::regex(R"(\p{N})"), individual ? Behavior::isolated : Behavior::contiguous);
  }
  if (type == "Punctuation") {
    PONDER_ASSIGN(const Behavior behavior, behavior_of(step));
    return add_pattern(Pattern::regex(kPunctuationPattern), behavior);
  }
  if (type == "WhitespaceSplit") return add_pattern(Pattern::regex(R"(\s)"), Behavior::removed);
  if (type == "Whitespace") return add_pattern(Pattern::regex(kWhitespacePattern), Behavior::removed, true);
  return fail(Code::unsupported, "tokenizer.json: pre_tokenizer {}", type);
}

Result<PreTokenizer> PreTokenizer::create(const Json* pre_tokenizer) {
  PreTokenizer result;
  if (pre_tokenizer && !pre_tokenizer->is_null()) PONDER_TRY(result.add_step(*pre_tokenizer));
  if (!result.byte_level_)
    return Status(Code::unsupported, "tokenizer.json: pre_tokenizer has no ByteLevel step, and only byte-level BPE is supported");
  return result;
}

// `matches` are relative to the piece. Without invert they are the delimiters, with it the gaps between them are.
void PreTokenizer::apply(const Step& step, TextSpan piece, const std::vector<TextSpan>& matches, std::vector<TextSpan>& out) {
  const std::size_t first = out.size();  // pieces of this piece
  bool previous = false;                 // was the last one a delimiter
  const auto add = [&](std::size_t begin, std::size_t end, bool delimiter) {
    delimiter ^= step.invert;
    const TextSpan span{piece.begin + begin, piece.begin + end};
    bool merge = false;
    switch (step.behavior) {
      case Behavior::isolated: break;
      case Behavior::removed:
        if (delimiter) return;
        break;
      case Behavior::contiguous: merge = delimiter == previous; break;
      case Behavior::merged_with_previous: merge = delimiter && !previous; break;
      // Seen from the end: a delimiter joins what follows, unless that is a delimiter too.
      case Behavior::merged_with_next: merge = previous && !delimiter; break;
    }
    if (merge && out.size() > first) out.back().end = span.end;
    else out.push_back(span);
    previous = delimiter;
  };
  std::size_t done = 0;
  for (const TextSpan& match : matches) {
    if (match.begin > done) add(done, match.begin, false);
    add(match.begin, match.end, true);
    done = match.end;
  }
  if (const std::size_t size = piece.end - piece.begin; done < size) add(done, size, false);
}

std::string_view PreTokenizer::prefix(std::string_view text, Scratch& scratch) {
  std::string out;
  for (TextSpan& piece : scratch.pieces) {
    const std::string_view old = text.substr(piece.begin, piece.end - piece.begin);
    piece.begin = out.size();
    if (old[0] != ' ') out += ' ';
    out += old;
    piece.end = out.size();
  }
  scratch.prefixed = std::move(out);
  return scratch.prefixed;
}

Result<PreTokenizer::Pieces> PreTokenizer::split(std::string_view text, Scratch& scratch) const {
  while (scratch.patterns.size() < steps_.size()) {
    const Step& step = steps_[scratch.patterns.size()];
    std::unique_ptr<Pattern::Scratch> search;
    if (step.pattern) {
      PONDER_ASSIGN(search, step.pattern->make_scratch());
    }
    scratch.patterns.push_back(std::move(search));
  }
  scratch.pieces.clear();
  if (!text.empty()) scratch.pieces.push_back({0, text.size()});
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (!step.pattern) {
      text = prefix(text, scratch);
      continue;
    }
    scratch.next.clear();
    for (const TextSpan& piece : scratch.pieces) {
      scratch.matches.clear();
      const std::string_view piece_text = text.substr(piece.begin, piece.end - piece.begin);
      PONDER_TRY(step.pattern->find_all(piece_text, *scratch.patterns[i], scratch.matches));
      apply(step, piece, scratch.matches, scratch.next);
    }
    std::erase_if(scratch.next, [](const TextSpan& span) { return span.begin == span.end; });
    scratch.pieces.swap(scratch.next);
  }
  return Pieces{text, scratch.pieces};
}

}  // namespace ponder::core
