#include "lib/text/tokenizer.h"
#include "lib/text/utf8.h"

namespace ponder::core {

std::string_view Detokenizer::drain(bool at_end) {
  std::size_t i = 0;
  while (i < pending_.size()) {
    const utf8::Char c = utf8::next(pending_, i);
    if (c.incomplete && !at_end) break;
    if (c.valid)
      out_.append(pending_, i, c.size);
    else
      out_ += "\xef\xbf\xbd";
    i += c.size;
  }
  pending_.erase(0, i);
  return out_;
}

std::string_view Detokenizer::push(TokenId id) {
  out_.clear();
  if (skip_special_ && tokenizer_->is_special(id)) return out_;
  pending_ += tokenizer_->token_bytes(id);
  return drain(false);
}

std::string_view Detokenizer::finish() {
  out_.clear();
  return drain(true);
}

}  // namespace ponder::core
