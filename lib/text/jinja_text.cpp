#include "lib/text/jinja_text.h"

#include <algorithm>

#include "lib/text/jinja_unicode.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

constexpr std::size_t kShort = 64;  // bytes of a part that the plain search is quick enough for

// Knuth, Morris and Pratt (1977) over n and m bytes that `text` and `part` give by index; m > 0. The first place, or npos.
template <class Text, class Part>
std::size_t search(std::size_t n, const Text& text, std::size_t m, const Part& part) {
  std::vector<std::size_t> border(m);  // of part's first i + 1 bytes: the longest proper prefix that is a suffix, too
  for (std::size_t i = 1, k = 0; i < m; ++i) {
    while (k > 0 && part(i) != part(k)) k = border[k - 1];
    k += part(i) == part(k);
    border[i] = k;
  }
  for (std::size_t i = 0, k = 0; i < n; ++i) {
    while (k > 0 && text(i) != part(k)) k = border[k - 1];
    k += text(i) == part(k);
    if (k == m) return i + 1 - m;
  }
  return std::string_view::npos;
}

}  // namespace

std::size_t find_text(std::string_view text, std::string_view part, std::size_t from) {
  if (part.size() <= kShort || from > text.size()) return text.find(part, from);
  text.remove_prefix(from);
  if (part.size() > text.size()) return text.npos;
  const std::size_t at = search(text.size(), [&](std::size_t i) { return text[i]; }, part.size(), [&](std::size_t i) { return part[i]; });
  return at == text.npos ? at : at + from;
}

std::size_t rfind_text(std::string_view text, std::string_view part, std::size_t end) {
  text = text.substr(0, end);
  if (part.size() <= kShort) return text.rfind(part);
  if (part.size() > text.size()) return text.npos;
  const std::size_t n = text.size(), m = part.size();
  const std::size_t at = search(n, [&](std::size_t i) { return text[n - 1 - i]; }, m, [&](std::size_t i) { return part[m - 1 - i]; });
  return at == text.npos ? at : n - m - at;
}

Result<Value> strip(Interp& in, const Str& text, const Str* chars, Side side) {
  std::size_t begin = 0, end = text.text.size();
  PONDER_TRY(in.use_bytes(end));
  if (!chars) {
    if (side != Side::right) begin = leading_space(text.text);
    if (side != Side::left && begin < end) end -= trailing_space(text.text);
    return in.substring(text, begin, end);
  }
  PONDER_TRY(in.use(text.length * std::min<std::size_t>(chars->length, 4096) / 128));
  const auto has = [&](std::size_t at, std::size_t size) {
    for (std::size_t i = 0; i < chars->text.size();) {
      const std::size_t n = utf8::next(chars->text, i).size;
      if (n == size && chars->text.compare(i, n, text.text, at, size) == 0) return true;
      i += n;
    }
    return false;
  };
  while (side != Side::right && begin < end) {
    const std::size_t size = utf8::next(text.text, begin).size;
    if (!has(begin, size)) break;
    begin += size;
  }
  while (side != Side::left && begin < end) {
    std::size_t last = end - 1;
    while (last > begin && end - last < 4 && (static_cast<unsigned char>(text.text[last]) & 0xc0) == 0x80) --last;
    if (!has(last, end - last)) break;
    end = last;
  }
  return in.substring(text, begin, end);
}

Result<Value> replace(Interp& in, const Str& text, const Str& from, const Str& to, std::int64_t count) {
  TextBuilder out;
  const std::string& s = text.text;
  PONDER_TRY(in.use_bytes(s.size()));
  std::size_t done = 0, at = 0;
  for (std::int64_t n = 0; count < 0 || n < count; ++n) {
    if (from.text.empty()) {  // before every character, and at the end
      if (n > 0) {
        if (at >= s.size()) break;
        at += utf8::next(s, at).size;
      }
    } else {
      at = find_text(s, from.text, done);
      if (at == s.npos) break;
    }
    out.append(text, done, at);
    out.append(to);
    done = at + from.text.size();
    PONDER_TRY(in.check_size(out.size()));
    if (n % 16 == 0) PONDER_TRY(in.use());
  }
  out.append(text, done, s.size());
  return in.string(std::move(out));
}

Result<Values> split_lines(Interp& in, const Str& text, bool keep_ends) {
  Values lines;
  const std::string& s = text.text;
  PONDER_TRY(in.use_bytes(s.size()));
  std::size_t begin = 0;
  for (std::size_t i = 0; i < s.size();) {
    const utf8::Char c = utf8::next(s, i);
    std::size_t size = c.size;
    const bool is_break = c.valid && ((c.code >= 0x0a && c.code <= 0x0d) || (c.code >= 0x1c && c.code <= 0x1e) || c.code == 0x85 ||
                                      c.code == 0x2028 || c.code == 0x2029);
    if (is_break) {
      if (c.code == '\r' && i + 1 < s.size() && s[i + 1] == '\n') size = 2;
      PONDER_TRY(in.use());
      PONDER_ASSIGN(Value line, in.substring(text, begin, keep_ends ? i + size : i));
      lines.push_back(std::move(line));
      begin = i + size;
    }
    i += size;
  }
  if (begin < s.size()) {
    PONDER_ASSIGN(Value line, in.substring(text, begin, s.size()));
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<Value> join(Interp& in, const Str& separator, const Values& items, bool print_items) {
  TextBuilder out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(separator);
    if (!print_items) PONDER_TRY(Status(in.as_str(items[i], "join").status()));
    PONDER_TRY(in.print(out, items[i]));
    PONDER_TRY(in.check_size(out.size()));
    PONDER_TRY(in.use());
  }
  return in.string(std::move(out));
}

Result<Value> change_case(Interp& in, const Str& text, Case to) {
  TextBuilder out;
  std::size_t hint = 0;
  bool behind_cased = false;
  const std::string& s = text.text;
  PONDER_TRY(in.use_bytes(s.size()));
  for (std::size_t i = 0; i < s.size();) {
    const utf8::Char c = utf8::next(s, i);
    if (!c.valid) {
      out.append(text, i, i + c.size);
      i += c.size;
      continue;
    }
    bool up = to == Case::upper, down = to == Case::lower;
    if (to == Case::title) up = !behind_cased, down = behind_cased;
    if (to == Case::capitalize) up = i == 0, down = i > 0;
    if (to == Case::swap) up = is_lower(c.code), down = is_upper(c.code);
    behind_cased = is_cased(c.code);
    const std::uint32_t changed = up ? to_upper(c.code) : down ? to_lower(c.code) : c.code;
    if (up && c.code == 0xdf) {  // the sharp s has no capital of its own
      out.append(to == Case::upper || to == Case::swap ? "SS" : "Ss", tainted_at(text, i, hint));
    } else if (changed == c.code) {
      out.append(text, i, i + c.size);
    } else {
      out.append(to_utf8(changed), tainted_at(text, i, hint));
    }
    i += c.size;
  }
  return in.string(std::move(out));
}

Result<Value> pad(Interp& in, const Str& text, std::int64_t width, std::string_view fill, Side where) {
  const std::int64_t missing = std::max<std::int64_t>(width - static_cast<std::int64_t>(text.length), 0);
  PONDER_TRY(in.check_size(text.text.size() + static_cast<std::size_t>(missing)));
  // str.center puts the odd blank on the left when the width is odd.
  const std::int64_t left = where == Side::left ? missing : where == Side::right ? 0 : missing / 2 + (missing & width & 1);
  TextBuilder out;
  for (std::int64_t i = 0; i < left; ++i) out.append(fill, false);
  out.append(text);
  for (std::int64_t i = left; i < missing; ++i) out.append(fill, false);
  return in.string(std::move(out));
}

}  // namespace ponder::core::jinja
