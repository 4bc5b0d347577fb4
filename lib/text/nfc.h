// Unicode Normalization Form C (Unicode Standard Annex 15), for tokenizers that ask for it. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ponder::core {

// Part of a text that normalisation replaced: source bytes [begin, end) became out bytes [out_begin, out_end).
struct NfcChange {
  std::size_t begin, end;
  std::size_t out_begin, out_end;
};

// `text` is valid UTF-8. Returns false, and leaves `out` alone, when nothing was to be done: text in form C costs one scan.
// `changes` may be null; else the replaced parts are appended, in order.
bool normalize_nfc(std::string_view text, std::string& out, std::vector<NfcChange>* changes = nullptr);

// Version of the character tables, "14.0.0".
const char* nfc_unicode_version();

}  // namespace ponder::core
