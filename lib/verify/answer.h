// Whether two mathematical answers say the same thing. Deterministic, bounded in time and memory, no computer algebra; used
// for rewards, where a wrong "yes" teaches a model to cheat, and to group answers that were sampled in parallel.
//
// Stricter than common checkers on purpose: no tolerance for plain numbers (2.5000001 is not 2.5), kinds of brackets
// count, a set may not hold more items than the reference, and a sum that could be copied from the question
// (17+25) is no answer where the reference is a number. The rules are those of docs/answers.md.
//
// All functions are pure and may run on any thread.
#pragma once

#include <string_view>

#include "lib/verify/math_text.h"

namespace ponder::core {

struct AnswerOptions {
  bool allow_unevaluated = false;  // 17+25 passes for 42: for evaluation of published data, not for rewards
};

// Longer answers are never equal to anything.
inline constexpr std::size_t kMaxAnswerBytes = 512;

// Whether `prediction` answers what `reference` does. Both are answers without the box around them, LaTeX or plain
// text. Not symmetric: the reference is taken to be right, and what it cannot be parsed as only equal text matches.
bool answers_equal(std::string_view prediction, std::string_view reference, AnswerOptions options = {});

// The reward for a completion: its answer part (answer_part), the answer in it (extract_answer), answers_equal.
bool completion_answers(std::string_view completion, bool thinking_open, std::string_view reference,
                        AnswerPlace place = AnswerPlace::boxed, AnswerOptions options = {});

}  // namespace ponder::core
