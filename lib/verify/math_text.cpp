#include "lib/verify/math_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/text/utf8.h"

namespace ponder::core {
namespace {

constexpr std::size_t npos = std::string_view::npos;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// What a character of mathematical typography is in plain LaTeX; nullptr: it stays.
const char* plain_spelling(std::uint32_t code) {
  switch (code) {
    case 0x2212: case 0x2013: case 0x2010: case 0x2011: case 0xfe63: case 0xff0d: return "-";
    case 0xd7: case 0x22c5: case 0xb7: case 0x2217: return "*";
    case 0xf7: case 0x2215: case 0x2044: return "/";
    case 0x3c0: return "\\pi ";
    case 0x221e: return "\\infty ";
    case 0x221a: return "\\sqrt ";
    case 0xb1: return "\\pm ";
    case 0xb2: return "^2";
    case 0xb3: return "^3";
    case 0xbc: return "\\frac{1}{4}";
    case 0xbd: return "\\frac{1}{2}";
    case 0xbe: return "\\frac{3}{4}";
    case 0xb0: case 0x20ac: case 0xa3: case 0xa5: case 0xa2: return "";
    case 0xa0: case 0x2009: case 0x202f: case 0x2002: case 0x2003: case 0x3000: return " ";
    case 0x200b: case 0xfeff: return "";
    case 0x2264: return "\\leq ";
    case 0x2265: return "\\geq ";
    case 0x2260: return "\\neq ";
    case 0x222a: return "\\cup ";
    case 0x2208: return "\\in ";
    default: return nullptr;
  }
}

std::string plain_characters(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const utf8::Char c = utf8::next(text, i);
    if (c.code >= 0xff01 && c.code <= 0xff5e && c.code != 0xff0d) {
      out += static_cast<char>(c.code - 0xff00 + 0x20);  // full-width ASCII
    } else if (const char* plain = c.valid ? plain_spelling(c.code) : nullptr) {
      out += plain;
    } else {
      out += text.substr(i, c.size);
    }
    i += c.size;
  }
  return out;
}

struct Command {
  std::string_view name, replacement;
};
// Commands that are written another way; sorted by nothing, the list is short. Those not named stay as they are.
constexpr Command kCommands[] = {
    {"left", ""}, {"right", ""}, {"big", ""}, {"Big", ""}, {"bigl", ""}, {"bigr", ""}, {"Bigl", ""}, {"Bigr", ""},
    {"bigg", ""}, {"Bigg", ""}, {"displaystyle", ""}, {"textstyle", ""}, {"limits", ""}, {"quad", " "}, {"qquad", " "},
    {"dfrac", "\\frac"}, {"tfrac", "\\frac"}, {"cfrac", "\\frac"}, {"cdot", "*"}, {"times", "*"}, {"ast", "*"},
    {"div", "/"}, {"mathrm", "\\text"}, {"mathbf", "\\text"}, {"textbf", "\\text"}, {"textit", "\\text"},
    {"textrm", "\\text"}, {"mathit", "\\text"}, {"mbox", "\\text"}, {"operatorname", "\\text"}, {"lbrace", "\\{"},
    {"rbrace", "\\}"}, {"lvert", "|"}, {"rvert", "|"}, {"vert", "|"}, {"lbrack", "["}, {"rbrack", "]"},
    {"degree", ""}, {"le", "\\leq"}, {"ge", "\\geq"}, {"ne", "\\neq"}, {"infin", "\\infty"}, {"pounds", ""},
    {"euro", ""}, {"fbox", "\\boxed"}, {"lparen", "("}, {"rparen", ")"},
};

std::string plain_commands(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '$') {
      ++i;
      continue;
    }
    if (text[i] == '~' || is_space(text[i])) {
      out += ' ', ++i;
      continue;
    }
    if (text.substr(i, 3) == "{,}") {
      out += ',', i += 3;
      continue;
    }
    if (text.substr(i, 2) == "<=" || text.substr(i, 2) == ">=") {
      out += text[i] == '<' ? "\\leq " : "\\geq ", i += 2;
      continue;
    }
    if (text.substr(i, 6) == "^\\circ") {
      i += 6;
      continue;
    }
    if (text.substr(i, 8) == "^{\\circ}") {
      i += 8;
      continue;
    }
    if (text[i] != '\\' || i + 1 >= text.size()) {
      out += text[i++];
      continue;
    }
    const char after = text[i + 1];
    if (!is_letter(after)) {
      switch (after) {
        case '\\': out += "\\\\"; break;
        case '{': case '}': out += '\\', out += after; break;
        case '%': case '|': case '&': case '#': case '_': out += after; break;
        case ',': case ' ': case ';': case ':': out += ' '; break;
        default: break;  // \! \( \) \[ \] \$ vanish
      }
      i += 2;
      continue;
    }
    std::size_t end = i + 1;
    while (end < text.size() && is_letter(text[end])) ++end;
    const std::string_view name = text.substr(i + 1, end - i - 1);
    const auto* known = std::find_if(std::begin(kCommands), std::end(kCommands), [&](const Command& c) { return c.name == name; });
    if (known == std::end(kCommands)) {
      out += text.substr(i, end - i);
    } else {
      out += known->replacement;
    }
    i = end;
  }
  return out;
}

// x^{2} as x^2, x_{1} as x_1: braces around one letter or digit, where what follows could not be taken for more of it.
std::string plain_scripts(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const bool script = (text[i] == '^' || text[i] == '_') && i + 3 < text.size() && text[i + 1] == '{' && text[i + 3] == '}' &&
                        (is_digit(text[i + 2]) || is_letter(text[i + 2]));
    const char after = script && i + 4 < text.size() ? text[i + 4] : ' ';
    if (script && !is_digit(after) && !is_letter(after)) {
      out += text[i], out += text[i + 2], i += 4;
    } else {
      out += text[i++];
    }
  }
  return out;
}

// Spaces that can be seen only: no run of them, none at a bracket's inner side.
std::string single_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  return std::string(trimmed(out));
}

// The inside of a text that is `head`{...} as a whole.
std::optional<std::string_view> inside(std::string_view text, std::string_view head) {
  if (text.substr(0, head.size()) != head) return std::nullopt;
  std::size_t open = head.size();
  while (open < text.size() && text[open] == ' ') ++open;
  if (open >= text.size() || text[open] != '{' || end_of_braces(text, open) != text.size()) return std::nullopt;
  return text.substr(open + 1, text.size() - open - 2);
}

std::string_view last_number(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0 && !is_digit(text[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && (is_digit(text[begin - 1]) || ((text[begin - 1] == '.' || text[begin - 1] == ',') && begin > 1 && is_digit(text[begin - 2]))))
    --begin;
  if (begin > 0 && begin < end && text[begin - 1] == '.') --begin;
  if (begin > 0 && begin < end && text[begin - 1] == '-' && (begin == 1 || !(is_digit(text[begin - 2]) || is_letter(text[begin - 2]) || text[begin - 2] == ')'))) --begin;
  return text.substr(begin, end - begin);
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::size_t end_of_braces(std::string_view text, std::size_t open) {
  std::size_t depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return npos;
}

std::string without_spaces(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_space(text[i])) {
      out += text[i];
      continue;
    }
    std::size_t next = i;
    while (next < text.size() && is_space(text[next])) ++next;
    if (!out.empty() && is_digit(out.back()) && next < text.size() && is_digit(text[next])) out += ' ';
    i = next - 1;
  }
  return out;
}

std::optional<std::string_view> answer_part(std::string_view completion, bool thinking_open) {
  constexpr std::string_view close = "</think>";
  if (const std::size_t at = completion.rfind(close); at != npos) return completion.substr(at + close.size());
  if (thinking_open || completion.find("<think>") != npos) return std::nullopt;
  return completion;
}

std::optional<std::string> extract_answer(std::string_view answer, AnswerPlace place) {
  if (place == AnswerPlace::answer_tag) {
    constexpr std::string_view open = "<answer>", close = "</answer>";
    const std::size_t end = answer.rfind(close), begin = end == npos ? npos : answer.rfind(open, end);
    if (begin == npos) return std::nullopt;
    return std::string(trimmed(answer.substr(begin + open.size(), end - begin - open.size())));
  }
  std::size_t box = npos, after = npos;
  for (const std::string_view name : {std::string_view("\\boxed"), std::string_view("\\fbox")}) {
    for (std::size_t at = answer.rfind(name); at != npos; at = at == 0 ? npos : answer.rfind(name, at - 1)) {
      const std::size_t end = at + name.size();
      if (end < answer.size() && is_letter(answer[end])) continue;  // another command
      if (box == npos || at > box) box = at, after = end;
      break;
    }
  }
  if (box == npos) {
    if (place != AnswerPlace::boxed_or_last_number) return std::nullopt;
    const std::string_view number = last_number(answer);
    return number.empty() ? std::nullopt : std::optional<std::string>(number);
  }
  while (after < answer.size() && is_space(answer[after])) ++after;
  if (after < answer.size() && answer[after] == '{') {
    const std::size_t end = end_of_braces(answer, after);
    if (end == npos) return std::nullopt;
    return std::string(answer.substr(after + 1, end - after - 2));
  }
  std::size_t end = after;
  while (end < answer.size() && (is_digit(answer[end]) || is_letter(answer[end]) || answer[end] == '.' || answer[end] == '-')) ++end;
  if (end == after) return std::nullopt;
  return std::string(answer.substr(after, end - after));
}

std::string normalized_math(std::string_view text) {
  std::string s = single_spaces(plain_scripts(plain_commands(plain_characters(text))));
  for (;;) {
    while (!s.empty() && (s.back() == '.' || s.back() == ',')) s = trimmed(std::string_view(s).substr(0, s.size() - 1));
    std::optional<std::string_view> inner = inside(s, "\\text");
    if (!inner) inner = inside(s, "\\boxed");
    if (!inner) inner = inside(s, "");
    if (!inner) return s;
    s = std::string(trimmed(*inner));
  }
}

}  // namespace ponder::core
