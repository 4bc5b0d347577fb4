// Tokens to a syntax tree. Recursion and the depth of the tree are bounded by `max_depth`.
#pragma once

#include <cstddef>
#include <string_view>

#include "lib/base/status.h"
#include "lib/text/jinja_ast.h"

namespace ponder::core::jinja {

// Failures are Code::bad_template and name the line.
Result<Block> parse(std::string_view source, std::size_t max_depth);

}  // namespace ponder::core::jinja
