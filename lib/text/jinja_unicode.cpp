#include "lib/text/jinja_unicode.h"

#include <algorithm>
#include <iterator>

#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

struct CaseRange {
  std::uint32_t first, last;
  std::uint32_t step;
  std::int32_t difference;
};
#include "lib/text/jinja_case_tables.inl.h"

struct Range {
  std::uint32_t first, last;
};
// Categories Cc, Cf, Cs, Co, Zl, Zp and Zs of Unicode 14.0, beyond ASCII; unassigned characters count as printable.
constexpr Range kNotPrintable[] = {
    {0x80, 0xa0}, {0xad, 0xad}, {0x600, 0x605}, {0x61c, 0x61c}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x890, 0x891},
    {0x8e2, 0x8e2}, {0x1680, 0x1680}, {0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x2064}, {0x2066, 0x206f},
    {0x3000, 0x3000}, {0xd800, 0xf8ff}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x13438},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f}, {0xf0000, 0xffffd}, {0x100000, 0x10fffd},
};
// Punctuation, symbols and spaces: what is_alpha leaves out beyond ASCII. Coarse, by block.
constexpr Range kNoLetters[] = {
    {0x80, 0xa9}, {0xab, 0xb4}, {0xb6, 0xb9}, {0xbb, 0xbf}, {0xd7, 0xd7}, {0xf7, 0xf7}, {0x2c2, 0x2c5},
    {0x300, 0x36f}, {0x2000, 0x2070}, {0x2072, 0x207e}, {0x2080, 0x208f}, {0x20a0, 0x2101}, {0x2190, 0x2bff},
    {0x2e00, 0x2e7f}, {0x3000, 0x3004}, {0x3007, 0x3030}, {0xfe00, 0xfe6f}, {0xff01, 0xff20}, {0xff3b, 0xff40},
    {0xff5b, 0xff65}, {0xffe0, 0xffff}, {0x1f000, 0x1faff}, {0xe0000, 0x10ffff},
};
// First of ten decimal digits in a row (category Nd), in the Basic Multilingual Plane.
constexpr std::uint32_t kZeros[] = {
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
    0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
};

template <class Table>
bool contains(const Table& table, std::uint32_t c) {
  const auto* found = std::lower_bound(std::begin(table), std::end(table), c,
                                       [](const Range& r, std::uint32_t x) { return r.last < x; });
  return found != std::end(table) && found->first <= c;
}

template <class Table>
std::uint32_t mapped(const Table& table, std::uint32_t c) {
  for (const CaseRange* r = std::lower_bound(std::begin(table), std::end(table), c,
                                             [](const CaseRange& range, std::uint32_t x) { return range.last < x; });
       r != std::end(table) && r->first <= c; ++r)
    if ((c - r->first) % r->step == 0) return c + static_cast<std::uint32_t>(r->difference);
  return c;
}

bool is_ascii_letter(std::uint32_t c) { return (c | 0x20u) >= 'a' && (c | 0x20u) <= 'z'; }

}  // namespace

bool is_space(std::uint32_t c) {
  if (c < 0x80) return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_digit(std::uint32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  if (c == 0xb2 || c == 0xb3 || c == 0xb9) return true;  // superscripts
  const auto* zero = std::upper_bound(std::begin(kZeros), std::end(kZeros), c);
  return zero != std::begin(kZeros) && c - zero[-1] < 10;
}

bool is_alpha(std::uint32_t c) {
  if (c < 0x80) return is_ascii_letter(c);
  return !contains(kNoLetters, c) && !contains(kNotPrintable, c) && !is_digit(c);
}

bool is_printable(std::uint32_t c) {
  if (c < 0x80) return c >= 0x20 && c != 0x7f;
  return !contains(kNotPrintable, c);
}

std::uint32_t to_upper(std::uint32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
  return mapped(kUpper, c);
}

std::uint32_t to_lower(std::uint32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  return mapped(kLower, c);
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6), put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 0x3f)), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
  }
}

std::string to_utf8(std::uint32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}

std::size_t leading_space(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const utf8::Char c = utf8::next(text, i);
    if (!c.valid || !is_space(c.code)) break;
    i += c.size;
  }
  return i;
}

std::size_t trailing_space(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
    const utf8::Char c = utf8::next(text, begin);
    if (!c.valid || c.size != end - begin || !is_space(c.code)) break;
    end = begin;
  }
  return text.size() - end;
}

}  // namespace ponder::core::jinja
