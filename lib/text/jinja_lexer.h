// Jinja source to tokens, with trim_blocks and lstrip_blocks on and the last line break dropped: the settings of
// transformers. Strings are unescaped as Python's "unicode-escape" does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace ponder::core::jinja {

enum class TokenType : std::uint8_t {
  data, variable_begin, variable_end, block_begin, block_end, name, string, integer, real, op, end
};

struct Token {
  TokenType type = TokenType::end;
  int line = 1;
  std::string text;  // data, name, string's content, operator
  std::int64_t integer = 0;
  double real = 0;

  bool is(TokenType t) const { return type == t; }
  bool is_op(std::string_view op) const { return type == TokenType::op && text == op; }
  bool is_name(std::string_view name) const { return type == TokenType::name && text == name; }
};

// Every failure is Code::bad_template and names the line. The last token is `end`.
Result<std::vector<Token>> tokenize(std::string_view source);

// What stands at a place, for messages.
std::string describe(const Token& token);

}  // namespace ponder::core::jinja
