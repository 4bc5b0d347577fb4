// What happens to text before BPE: the pre_tokenizer of tokenizer.json, one step after another, each on the pieces of the
// one before. The Rust library `tokenizers` is the reference.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/json.h"
#include "lib/text/pattern.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

class PreTokenizer {
 public:
  // Null or JSON null, a step that is unknown, or no ByteLevel as the last step is `unsupported`, by name.
  static Result<PreTokenizer> create(const Json* pre_tokenizer);

  // Buffers of split(); keep one for many calls. One thread at a time, one PreTokenizer only.
  class Scratch {
   private:
    friend class PreTokenizer;
    std::vector<std::unique_ptr<Pattern::Scratch>> patterns;  // by step
    std::vector<TextSpan> pieces, next, matches;
    std::string prefixed;
  };
  struct Pieces {
    std::string_view text;             // the argument, or with add_prefix_space the scratch's own
    const std::vector<TextSpan>& spans;  // in order, none empty; BPE runs within each
  };
  // `text` is valid UTF-8. The result is valid until the scratch is used again.
  Result<Pieces> split(std::string_view text, Scratch& scratch) const;

 private:
  enum class Behavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };
  struct Step {
    std::shared_ptr<const Pattern> pattern;  // null: put a blank in front of pieces that do not begin with one
    Behavior behavior = Behavior::isolated;
    bool invert = false;
  };
  static Result<Behavior> behavior_of(const Json& step);
  Status add_step(const Json& step);
  Status add_pattern(Result<std::shared_ptr<const Pattern>> pattern, Behavior behavior, bool invert = false);
  Status add_split(const Json& step);
  static void apply(const Step& step, TextSpan piece, const std::vector<TextSpan>& matches, std::vector<TextSpan>& out);
  static std::string_view prefix(std::string_view text, Scratch& scratch);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace ponder::core
