// The only file that fmt's functions are compiled in; the others have their declarations.
#define FMT_HEADER_ONLY 1
#include <fmt/format.h>

#include "lib/base/format.h"

namespace ponder::core {

std::string format_args_text(fmt::string_view text, fmt::format_args args) { return fmt::vformat(text, args); }

}  // namespace ponder::core
