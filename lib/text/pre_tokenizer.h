// What happens to text before BPE: the normaliser and pre_tokenizer of tokenizer.json, one step after another.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/json.h"

namespace ponder::core {

class PreTokenizer {
 public:
  // Either may be null or JSON null. An unknown step is `unsupported`, by name.
  static Result<PreTokenizer> create(const Json* normalizer, const Json* pre_tokenizer);

  // Pieces of valid UTF-8, in order, nothing lost; BPE runs within a piece.
  Result<std::vector<std::string>> split(std::string_view text) const;

 private:
  Status add_normalizer(const Json& step);
  Status add_step(const Json& step);
  Status add_pattern(std::string_view pattern, bool literal);

  struct Pattern;  // a compiled regular expression
  bool nfc_ = false;
  std::vector<std::shared_ptr<const Pattern>> patterns_;
};

}  // namespace ponder::core
