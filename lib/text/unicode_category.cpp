#include "lib/text/unicode_category.h"

#include <algorithm>
#include <iterator>

namespace ponder::core {
namespace {

#include "lib/text/category_tables.inc"

constexpr unsigned kCn = 29;

}  // namespace

unsigned unicode_category(std::uint32_t code) {
  if (code > 0x10ffff) return kCn;
  const std::uint32_t* next = std::upper_bound(std::begin(kCategoryRuns), std::end(kCategoryRuns), code << 5 | 31);
  return next[-1] & 31;
}

std::uint32_t categories_by_name(std::string_view name) {
  std::uint32_t bits = 0;
  if (name.empty() || name.size() > 2) return 0;
  for (std::size_t i = 0; i < kCategoryNames.size(); i += 2)
    if (kCategoryNames.substr(i, name.size()) == name) bits |= std::uint32_t{1} << (i / 2);
  return bits;
}

std::string_view unicode_category_version() { return kCategoryVersion; }

}  // namespace ponder::core
