// How an answer is put together, looked at as text: a name before "=", a letter of a multiple choice, lists and
// brackets, a unit behind a number. All text has gone through normalized_math().
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ponder::core {

struct Structure {
  enum class Kind { single, set, tuple, matrix };
  Kind kind = Kind::single;
  std::string brackets;  // tuple: "()", "[)"; empty for the others, since all brackets of matrices are one
  std::size_t n_columns = 0;
  std::vector<std::string> items;  // of a matrix by rows
};

// {a, b}, "a, b", "a and b", "a or b", \pm and unions are sets (unordered); (a, b) and [a, b) tuples. 1,234 and -1,234.5 are
// single numbers, as is 1,234 before a unit.
Structure structure_of(std::string_view text);

// "x", "x_1", "f(x)" before the only "=" (or "\in"), and what stands behind it; no name: all of the text.
struct Definition {
  std::string name;
  std::string_view value;
};
Definition definition(std::string_view text);

// A reference that is one capital letter from A to J, and the letter that a prediction chooses: B, (B), b., "B) text"; '\0':
// none.
bool is_choice(std::string_view reference);
char chosen(std::string_view prediction);

// A unit behind a number: \text{...}, or a word of a short list. In lower case, without a plural's s.
struct UnitSplit {
  std::string_view number;
  std::string unit;
};
UnitSplit split_unit(std::string_view text);

// For comparing words: lower case; letters, digits, mathematical signs and the names of commands are kept, \text unwrapped.
std::string bare_text(std::string_view spaced);

}  // namespace ponder::core
