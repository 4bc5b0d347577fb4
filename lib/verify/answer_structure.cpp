#include "lib/verify/answer_structure.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/verify/math_text.h"

namespace ponder::core {
namespace {

constexpr std::size_t npos = std::string_view::npos;
constexpr std::size_t kMaxItems = 64;

bool starts_with_command(std::string_view text, std::size_t at, std::string_view name) {
  return text.substr(at, name.size()) == name && (at + name.size() >= text.size() || !is_letter(text[at + name.size()]));
}

// Length of the bracket at text[i], > 0 opening, < 0 closing, 0 none; \{ and \} are two bytes.
int bracket(std::string_view text, std::size_t i) {
  if (text[i] == '\\' && i + 1 < text.size()) {
    if (text[i + 1] == '{') return 2;
    if (text[i + 1] == '}') return -2;
  }
  if (text[i] == '(' || text[i] == '[' || text[i] == '{') return 1;
  if (text[i] == ')' || text[i] == ']' || text[i] == '}') return -1;
  return 0;
}

// The parts of `text` between separators that stand outside all brackets. `separator(i)`: its length at i, or 0.
template <class Separator>
std::vector<std::string> split(std::string_view text, Separator separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const int b = bracket(text, i); b != 0) {
      depth += b > 0 ? 1 : -1;
      i += static_cast<std::size_t>(b > 0 ? b : -b);
      continue;
    }
    const std::size_t length = depth == 0 ? separator(i) : 0;
    if (length == 0) {
      i += text[i] == '\\' && i + 1 < text.size() ? 2 : 1;
      continue;
    }
    parts.emplace_back(trimmed(text.substr(begin, i - begin)));
    begin = i += length;
  }
  parts.emplace_back(trimmed(text.substr(begin)));
  return parts;
}

// Whether every comma of the text belongs to one number in groups of three: 1,234,567.5, -1,000, 2,000 m.
bool commas_group_digits(std::string_view text) {
  std::size_t i = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  std::size_t n_digits = 0;
  while (i < text.size() && is_digit(text[i])) ++i, ++n_digits;
  if (n_digits == 0 || n_digits > 3 || i >= text.size() || text[i] != ',') return false;
  while (i < text.size() && text[i] == ',') {
    if (i + 3 >= text.size() || !is_digit(text[i + 1]) || !is_digit(text[i + 2]) || !is_digit(text[i + 3])) return false;
    i += 4;
  }
  return (i >= text.size() || !is_digit(text[i])) && text.find(',', i) == npos;
}

// Length of a word that joins items at i, with its spaces: " and ", " or ", "\text{ and }"; else 0.
std::size_t joining_word(std::string_view text, std::size_t i) {
  for (const std::string_view word : {std::string_view(" and "), std::string_view(" or ")})
    if (text.substr(i, word.size()) == word) return word.size();
  if (!starts_with_command(text, i, "\\text")) return 0;
  const std::size_t open = i + 5;
  if (open >= text.size() || text[open] != '{') return 0;
  const std::size_t end = end_of_braces(text, open);
  if (end == npos) return 0;
  const std::string_view word = trimmed(text.substr(open + 1, end - open - 2));
  return word == "and" || word == "or" ? end - i : 0;
}

std::string replaced(std::string_view text, char plus_or_minus) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const bool pm = starts_with_command(text, i, "\\pm"), mp = starts_with_command(text, i, "\\mp");
    if (pm || mp) {
      out += pm ? plus_or_minus : (plus_or_minus == '+' ? '-' : '+');
      i += 3;
    } else {
      out += text[i++];
    }
  }
  return out;
}
bool has_plus_or_minus(std::string_view text) { return replaced(text, '+') != text; }

// Each item once, those with \pm twice.
void add_items(std::vector<std::string>& items, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (has_plus_or_minus(part)) {
      items.push_back(replaced(part, '+')), items.push_back(replaced(part, '-'));
    } else {
      items.push_back(part);
    }
  }
}

std::optional<Structure> matrix(std::string_view text) {
  constexpr std::string_view begin = "\\begin{", end = "\\end{";
  if (text.substr(0, begin.size()) != begin) return std::nullopt;
  const std::size_t name_end = text.find('}');
  const std::size_t last = text.rfind(end);
  if (name_end == npos || last == npos || last < name_end || text.back() != '}') return std::nullopt;
  const std::string_view name = text.substr(begin.size(), name_end - begin.size());
  if (name.find("matrix") == npos || text.substr(last + end.size(), name.size()) != name) return std::nullopt;
  const std::string_view body = trimmed(text.substr(name_end + 1, last - name_end - 1));
  if (body.find(begin) != npos) return std::nullopt;
  Structure s{Structure::Kind::matrix, {}, 0, {}};
  for (std::size_t at = 0; at <= body.size();) {
    const std::size_t row_end = std::min(body.find("\\\\", at), body.size());
    const std::string_view row = trimmed(body.substr(at, row_end - at));
    at = row_end + 2;
    if (row.empty() && at > body.size()) break;  // a line break behind the last row
    const auto cells = split(row, [&](std::size_t i) { return std::size_t(row[i] == '&'); });
    if (s.n_columns != 0 && cells.size() != s.n_columns) return std::nullopt;
    s.n_columns = cells.size();
    s.items.insert(s.items.end(), cells.begin(), cells.end());
  }
  return s;
}

// The inside of one pair of brackets around the whole text, and the pair: "()", "[)", "{}".
std::optional<std::pair<std::string_view, std::string>> in_brackets(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  const int open = bracket(text, 0);
  if (open <= 0 || text[0] == '{') return std::nullopt;
  int depth = 0;
  for (std::size_t i = 0; i < text.size();) {
    const int b = bracket(text, i);
    const std::size_t length = b == 0 ? 1 : static_cast<std::size_t>(b > 0 ? b : -b);
    if (b != 0) depth += b > 0 ? 1 : -1;
    if (b != 0 && depth == 0) {
      if (i + length != text.size()) return std::nullopt;
      const auto width = static_cast<std::size_t>(open);
      return std::pair(trimmed(text.substr(width, i - width)), std::string{text[width - 1], text.back()});
    }
    i += length;
  }
  return std::nullopt;
}

}  // namespace

Structure structure_of(std::string_view text) {
  Structure single;
  if (auto m = matrix(text)) return m->items.size() <= kMaxItems ? *m : single;
  Structure s;
  const auto comma_at = [](std::string_view in) { return [in](std::size_t i) { return std::size_t(in[i] == ','); }; };
  if (const auto inner = in_brackets(text)) {
    const auto parts = split(inner->first, comma_at(inner->first));
    const bool braces = inner->second == "{}";
    if (parts.size() > kMaxItems || (parts.size() == 1 && !braces)) return single;
    s.kind = braces ? Structure::Kind::set : Structure::Kind::tuple;
    if (braces) {
      add_items(s.items, parts);
    } else {
      s.brackets = inner->second, s.items = parts;
    }
    return s;
  }
  const bool grouped = commas_group_digits(text);
  const auto parts = split(text, [&](std::size_t i) -> std::size_t {
    if (text[i] == ',' && !grouped) return 1;
    if (starts_with_command(text, i, "\\cup")) return 4;
    return joining_word(text, i);
  });
  if ((parts.size() == 1 && !has_plus_or_minus(text)) || parts.size() > kMaxItems) return single;
  s.kind = Structure::Kind::set;
  add_items(s.items, parts);  // "a, and b" leaves an empty part, which is not an item
  return s;
}

Definition definition(std::string_view text) {
  std::size_t at = text.find('='), behind = at + 1;
  if (at != npos && text.find('=', behind) != npos) return {{}, text};
  if (at == npos) {
    for (at = text.find("\\in"); at != npos && !starts_with_command(text, at, "\\in");) at = text.find("\\in", at + 1);
    behind = at + 3;
  }
  if (at == npos) return {{}, text};
  const std::string name = without_spaces(text.substr(0, at));
  const std::string_view value = trimmed(text.substr(behind));
  // letter, letter_subscript, letter(letter)
  const auto is_name = [&] {
    if (name.empty() || !is_letter(name[0])) return false;
    if (name.size() == 1) return true;
    if (name[1] == '_') return name.size() == 3 || (name[2] == '{' && end_of_braces(name, 2) == name.size());
    return name.size() == 4 && name[1] == '(' && is_letter(name[2]) && name[3] == ')';
  };
  if (value.empty() || !is_name()) return {{}, text};
  return {name, value};
}

bool is_choice(std::string_view reference) { return reference.size() == 1 && reference[0] >= 'A' && reference[0] <= 'J'; }

char chosen(std::string_view prediction) {
  std::string_view text = trimmed(prediction);
  if (text.substr(0, 6) == "\\text{") {  // \text{B} and \text{(B)} before more text
    const std::size_t end = end_of_braces(text, 5);
    if (end == npos) return '\0';
    const char letter = chosen(text.substr(6, end - 7));
    const std::string_view rest = trimmed(text.substr(end));
    return rest.empty() || rest[0] == '.' || rest[0] == ')' ? letter : '\0';
  }
  const bool open = !text.empty() && text[0] == '(';
  if (open) text.remove_prefix(1);
  if (text.empty() || !is_letter(text[0])) return '\0';
  const char letter = static_cast<char>(text[0] >= 'a' ? text[0] - 32 : text[0]);
  text.remove_prefix(1);
  if (open) return text == ")" || text.substr(0, 2) == ") " ? letter : '\0';
  return text.empty() || text[0] == '.' || text[0] == ')' ? letter : '\0';
}

UnitSplit split_unit(std::string_view text) {
  static constexpr std::string_view words[] = {
      "mm", "cm", "dm", "km", "meter", "metre", "centimeter", "kilometer", "inch", "inches", "in", "foot", "feet", "ft", "yard",
      "yd", "mile", "mi", "mg", "kg", "gram", "kilogram", "lb", "pound", "oz", "ounce", "ton", "second", "sec", "minute",
      "min", "hour", "hr", "day", "week", "month", "year", "dollar", "cent", "euro", "degree", "liter", "litre", "ml", "gallon",
      "mph", "unit", "unit^2", "units^2", "percent", "point", "people", "student", "m", "g", "s", "h", "l"};
  const auto bare_unit = [](std::string_view raw) {
    std::string unit;
    for (const char c : raw)
      if (c != ' ' && c != '.') unit += lower(c);
    if (unit.size() > 2 && unit.back() == 's') unit.pop_back();
    return unit;
  };
  // A power behind the unit belongs to it: \text{ cm}^2.
  std::string_view body = trimmed(text), power;
  if (body.size() > 2 && body[body.size() - 2] == '^' && is_digit(body.back())) power = body.substr(body.size() - 2), body.remove_suffix(2);
  if (!body.empty() && body.back() == '}') {
    for (std::size_t at = body.rfind("\\text"); at != npos && at > 0;) {
      std::size_t open = at + 5;
      while (open < body.size() && body[open] == ' ') ++open;
      if (open < body.size() && body[open] == '{' && end_of_braces(body, open) == body.size()) {
        const std::string_view number = trimmed(body.substr(0, at));
        const char last = number.empty() ? ' ' : number.back();
        if (is_digit(last) || last == '}' || last == ')') {
          return {number, bare_unit(body.substr(open + 1, body.size() - open - 2)) + std::string(power)};
        }
      }
      break;
    }
    return {text, {}};
  }
  std::size_t begin = body.size();
  while (begin > 0 && is_letter(body[begin - 1])) --begin;
  if (begin == 0 || begin == body.size()) return {text, {}};
  const std::string_view number = trimmed(body.substr(0, begin)), word = body.substr(begin);
  if (number.empty() || !(is_digit(number.back()) || number.back() == '}')) return {text, {}};
  const bool apart = body[begin - 1] == ' ';
  std::string unit = bare_unit(word);
  const bool known = std::find(std::begin(words), std::end(words), std::string_view(unit)) != std::end(words);
  if (!known || (word.size() == 1 && !apart)) return {text, {}};  // 5m is a product
  return {number, unit + std::string(power)};
}

std::string bare_text(std::string_view spaced) {
  const std::string text = without_spaces(spaced);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_with_command(text, i, "\\text")) {
      i += 4;
      continue;
    }
    const char c = text[i];
    const bool between_digits = (c == '.' || c == ',') && !out.empty() && is_digit(out.back()) && i + 1 < text.size() && is_digit(text[i + 1]);
    const bool sign = std::string_view("+-*/^=<>|()[]!%_ ").find(c) != npos;  // a space is left between digits only
    if (is_letter(c) || is_digit(c) || (c & 0x80) || sign || between_digits) out += lower(c);
  }
  return out;
}

}  // namespace ponder::core
