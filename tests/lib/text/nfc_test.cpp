// Expected values are those of Python 3.11's unicodedata.normalize (Unicode 14.0).
#include <doctest/doctest.h>

#include <cstdint>

#include "lib/text/nfc.h"
#include "lib/text/utf8.h"

using namespace ponder::core;

namespace {

std::string nfc(std::string_view text) {
  std::string out;
  return normalize_nfc(text, out) ? out : std::string(text);
}

// FNV-1a over the normal forms of before + c + after for every character c, each form followed by a line end.
std::uint64_t hash_of_all(std::string_view before, std::string_view after) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    std::string text(before);
    utf8::append(text, code);
    for (const char c : nfc(text += after) + '\n') hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return hash;
}

}  // namespace

TEST_CASE("nfc: every character alone and among marks equals Python's unicodedata") {
  CHECK(std::string(nfc_unicode_version()) == "14.0.0");
  CHECK(hash_of_all("", "") == 0x3ce40516aab8cae9u);
  CHECK(hash_of_all("a\u0328", "\u0301") == 0x1b1b3d0a8b19925fu);
}

TEST_CASE("nfc: composition, order of marks, exclusions and Hangul") {
  const std::pair<const char*, const char*> cases[] = {
      {"e\u0301", "\u00e9"},
      {"A\u030a", "\u00c5"},
      {"\u212b", "\u00c5"},                        // a singleton
      {"\u1100\u1161\u11a8", "\uac01"},            // Hangul by rule
      {"\uac00\u11a8", "\uac01"},
      {"\u1100\u0300\u1161", "\u1100\u0300\u1161"},  // a mark between stops it
      {"\u0915\u093c", "\u0915\u093c"},            // excluded from composition
      {"\u0958", "\u0915\u093c"},
      {"a\u0301\u0323", "\u1ea1\u0301"},           // marks are ordered by class first
      {"q\u0307\u0323", "q\u0323\u0307"},
      {"\u1e0b\u0323", "\u1e0d\u0307"},
      {"\u0344", "\u0308\u0301"},
      {"\uf900", "\u8c48"},
      {"\U0002f800", "\u4e3d"},
      {"\u304b\u3099", "\u304c"},
      {"\U00011099\U000110ba", "\U0001109a"},
      {"a\u0315\u0300\u05ae\u0300b", "\u00e0\u05ae\u0300\u0315b"},
      {"\u0301e", "\u0301e"},
      {"\u09c7\u09be", "\u09cb"},
      {"\u0b47\u0300\u0b3e", "\u0b47\u0300\u0b3e"},
      {"s\u0323\u0307", "\u1e69"},
      {"\u2adc", "\u2add\u0338"}};
  for (const auto& [text, want] : cases) {
    const std::string source = text;  // a binding cannot be captured
    CAPTURE(source);
    CHECK(nfc(text) == want);
    CHECK(nfc(want) == want);
    CHECK(nfc(std::string("abcdefg1") + text + "xyz") == std::string("abcdefg1") + want + "xyz");
  }
}

TEST_CASE("nfc: text that is in form C is left alone") {
  std::string out = "untouched";
  for (const char* text : {"", "plain ASCII, longer than eight bytes", "\u00e9\u4e2d\u6587 \uac00\u304c \U0001f600", "q\u0323\u0307"})
    if (normalize_nfc(text, out)) CHECK(out == text);  // a mark alone may need the closer look
  CHECK_FALSE(normalize_nfc("na\u00efve \u4e2d\u6587 \uac01", out));
}

TEST_CASE("nfc: changes say which bytes became which") {
  std::string out;
  std::vector<NfcChange> changes;
  REQUIRE(normalize_nfc("xe\u0301y\u212b", out, &changes));
  CHECK(out == "x\u00e9y\u00c5");
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].begin == 1);
  CHECK(changes[0].end == 4);
  CHECK(changes[0].out_begin == 1);
  CHECK(changes[0].out_end == 3);
  CHECK(changes[1].begin == 4);
  CHECK(changes[1].out_end == 6);
}

TEST_CASE("nfc: a hundred thousand marks on one letter are put in order") {
  std::string text = "a", want = "a";
  for (int i = 0; i < 50000; ++i) text += "\u0315\u0323";  // classes 232 and 220
  for (int i = 0; i < 50000; ++i) want += "\u0323";
  want.replace(0, 3, "\u1ea1");
  for (int i = 0; i < 50000; ++i) want += "\u0315";
  CHECK(nfc(text) == want);
}
