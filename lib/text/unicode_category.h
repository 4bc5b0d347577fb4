// General categories of characters (The Unicode Standard, section 4.5), of Unicode 14 as in Debian 12's PCRE2.
#pragma once

#include <cstdint>
#include <string_view>

namespace ponder::core {

// Two letters each, in the order of their numbers.
inline constexpr std::string_view kCategoryNames = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCoCn";

// The number of a character's category; of one beyond U+10FFFF that of unassigned ones.
unsigned unicode_category(std::uint32_t code);

// Categories as bits, by a name in kCategoryNames or the first letter of several; 0 for any other name.
std::uint32_t categories_by_name(std::string_view name);

std::string_view unicode_category_version();  // "14.0.0"

}  // namespace ponder::core
