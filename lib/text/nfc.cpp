#include "lib/text/nfc.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "lib/text/utf8.h"

namespace ponder::core {

namespace {

struct Decomposition {
  std::uint32_t code, first, second;
};
struct ClassRange {
  std::uint32_t first, last;
  std::uint8_t combining_class;
};
#include "lib/text/nfc_tables.inc"

// Hangul syllables (The Unicode Standard, section 3.12): 19 leading consonants, 21 vowels, 27 trailing ones or none.
constexpr std::uint32_t kSyllable = 0xac00, kLead = 0x1100, kVowel = 0x1161, kTrail = 0x11a7;
constexpr std::uint32_t kLeads = 19, kVowels = 21, kTrails = 28;

// A character with its combining class in the upper byte.
using Classed = std::uint32_t;
std::uint32_t code_of(Classed c) { return c & 0xffffffu; }
std::uint32_t class_of(Classed c) { return c >> 24; }

bool busy(std::uint32_t code) {
  const std::uint32_t block = code >> 5;
  return block < 64 * std::size(kBusyBlocks) && (kBusyBlocks[block >> 6] >> (block & 63) & 1);
}

std::uint32_t combining_class(std::uint32_t code) {
  const auto* range = std::lower_bound(std::begin(kClasses), std::end(kClasses), code,
                                       [](const ClassRange& r, std::uint32_t c) { return r.last < c; });
  return range != std::end(kClasses) && range->first <= code ? range->combining_class : 0;
}

const Decomposition* decomposition(std::uint32_t code) {
  const auto* index = std::lower_bound(std::begin(kPairsByCode), std::end(kPairsByCode), code,
                                       [](std::uint16_t i, std::uint32_t c) { return kPairs[i].code < c; });
  if (index != std::end(kPairsByCode) && kPairs[*index].code == code) return &kPairs[*index];
  const auto* other = std::lower_bound(std::begin(kOthers), std::end(kOthers), code,
                                       [](const Decomposition& d, std::uint32_t c) { return d.code < c; });
  return other != std::end(kOthers) && other->code == code ? other : nullptr;
}

// NFC_Quick_Check: not Yes when form C cannot hold the character, or when it may compose with one before it.
bool quick_check(std::uint32_t code) {
  if (code >= kVowel && code < kVowel + kVowels) return false;
  if (code > kTrail && code < kTrail + kTrails) return false;
  const auto* other = std::lower_bound(std::begin(kOthers), std::end(kOthers), code,
                                       [](const Decomposition& d, std::uint32_t c) { return d.code < c; });
  if (other != std::end(kOthers) && other->code == code) return false;
  return !std::binary_search(std::begin(kSeconds), std::end(kSeconds), code);
}

// The composition of two characters, or 0.
std::uint32_t compose(std::uint32_t first, std::uint32_t second) {
  if (first >= kLead && first < kLead + kLeads && second >= kVowel && second < kVowel + kVowels)
    return kSyllable + ((first - kLead) * kVowels + (second - kVowel)) * kTrails;
  if (first >= kSyllable && first < kSyllable + kLeads * kVowels * kTrails && (first - kSyllable) % kTrails == 0 &&
      second > kTrail && second < kTrail + kTrails)
    return first + (second - kTrail);
  const auto* pair = std::lower_bound(std::begin(kPairs), std::end(kPairs), std::pair(first, second),
                                      [](const Decomposition& d, const std::pair<std::uint32_t, std::uint32_t>& p) {
                                        return std::pair(d.first, d.second) < p;
                                      });
  return pair != std::end(kPairs) && pair->first == first && pair->second == second ? pair->code : 0;
}

void decompose(std::uint32_t code, std::vector<Classed>& out) {
  if (code >= kSyllable && code < kSyllable + kLeads * kVowels * kTrails) {
    const std::uint32_t index = code - kSyllable;
    out.push_back(kLead + index / (kVowels * kTrails));
    out.push_back(kVowel + index / kTrails % kVowels);
    if (index % kTrails) out.push_back(kTrail + index % kTrails);
    return;
  }
  if (const Decomposition* d = decomposition(code)) {
    decompose(d->first, out);
    if (d->second) decompose(d->second, out);
    return;
  }
  out.push_back(code | combining_class(code) << 24);
}

// Form C of a text that begins at a character which never changes with what stands before it.
void normalize_segment(std::string_view text, std::vector<Classed>& scratch, std::string& out) {
  scratch.clear();
  for (std::size_t i = 0; i < text.size();) {
    const utf8::Char c = utf8::next(text, i);
    decompose(c.code, scratch);
    i += c.size;
  }
  for (auto it = scratch.begin(); it != scratch.end();) {
    if (class_of(*it) == 0) {
      ++it;
      continue;
    }
    const auto end = std::find_if(it, scratch.end(), [](Classed c) { return class_of(c) == 0; });
    std::stable_sort(it, end, [](Classed a, Classed b) { return class_of(a) < class_of(b); });
    it = end;
  }
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t kept = 0, starter = kNone;
  std::int64_t between = -1;  // class of the last character kept behind the starter, -1 without one
  for (const Classed c : scratch) {
    if (starter != kNone && between < static_cast<std::int64_t>(class_of(c)))
      if (const std::uint32_t composed = compose(code_of(scratch[starter]), code_of(c))) {
        scratch[starter] = composed;  // every composed character is a starter
        continue;
      }
    if (class_of(c) == 0) {
      starter = kept;
      between = -1;
    } else {
      between = class_of(c);
    }
    scratch[kept++] = c;
  }
  for (std::size_t i = 0; i < kept; ++i) utf8::append(out, code_of(scratch[i]));
}

}  // namespace

bool normalize_nfc(std::string_view text, std::string& out, std::vector<NfcChange>* changes) {
  std::vector<Classed> scratch;
  std::size_t copied = 0;    // source bytes that are in `out`
  std::size_t boundary = 0;  // the last character that starts a segment
  std::uint32_t last_class = 0;
  bool changed = false;
  const auto starts_segment = [](std::uint32_t code) {
    return !busy(code) || (combining_class(code) == 0 && quick_check(code));
  };
  for (std::size_t i = 0; i < text.size();) {
    std::uint64_t eight;
    if (i + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if (!(eight & 0x8080808080808080u)) {
        i += sizeof eight;
        boundary = i - 1;
        last_class = 0;
        continue;
      }
    }
    const utf8::Char c = utf8::next(text, i);
    const std::uint32_t combining = busy(c.code) ? combining_class(c.code) : 0;
    const bool allowed = !busy(c.code) || quick_check(c.code);
    if (allowed && (combining == 0 || combining >= last_class)) {
      if (combining == 0) boundary = i;
      last_class = combining;
      i += c.size;
      continue;
    }
    std::size_t end = i + c.size;
    while (end < text.size()) {
      const utf8::Char next = utf8::next(text, end);
      if (starts_segment(next.code)) break;
      end += next.size;
    }
    if (!changed) out.clear();
    changed = true;
    out += text.substr(copied, boundary - copied);
    const std::size_t out_begin = out.size();
    normalize_segment(text.substr(boundary, end - boundary), scratch, out);
    if (changes) changes->push_back({boundary, end, out_begin, out.size()});
    copied = boundary = i = end;
    last_class = 0;
  }
  if (changed) out += text.substr(copied);
  return changed;
}

const char* nfc_unicode_version() { return kUnicodeVersion; }

}  // namespace ponder::core
