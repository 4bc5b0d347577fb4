// Mathematical answers as text: finding the answer in a completion, and writing LaTeX, Unicode and plain text one way.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ponder::core {

// Where the answer stands in the text behind the thinking.
enum class AnswerPlace {
  boxed,                 // the last \boxed{...} or \fbox{...}
  boxed_or_last_number,  // that, or without a box the last number in the text
  answer_tag,            // the last <answer>...</answer>
};

// The part of a completion that answers: what follows the last </think>. Without one: all of it, or nothing when the
// prompt had opened the block (`thinking_open`) or the completion opens one itself.
std::optional<std::string_view> answer_part(std::string_view completion, bool thinking_open);

// The answer in an answer part. A last box that is cut off is no answer; earlier boxes do not stand in for it.
std::optional<std::string> extract_answer(std::string_view answer, AnswerPlace place);

// One spelling for both sides of a comparison: typographic characters, spacing, font and size commands, currency and
// degree signs are gone or replaced; a whole \text{...}, {...} or \boxed{...} is unwrapped.
std::string normalized_math(std::string_view text);

// The index behind the brace that closes the one at text[open]; npos when there is none. \{ and \} do not count.
std::size_t end_of_braces(std::string_view text, std::size_t open);

// `text` without spaces, except between two digits, where one stays: "4 2" is not 42.
std::string without_spaces(std::string_view text);

std::string_view trimmed(std::string_view text);
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace ponder::core
