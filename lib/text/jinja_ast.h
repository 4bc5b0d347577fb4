// The syntax tree of a template: immutable, shared by all renders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/text/jinja_value.h"

namespace ponder::core::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

enum class ExprKind : std::uint8_t {
  constant,     // value
  name,         // text
  list, tuple,  // items
  dict,         // items: key, value, key, value, ...
  attribute,    // items[0].text
  item,         // items[0][items[1]]
  slice,        // items[0]:items[1]:items[2], each may be null; the index of an item
  call,         // items[0](arguments)
  filter,       // items[0] | text(arguments); items[0] is null where a block is filtered
  test,         // items[0] is text(arguments)
  logical_not, negative, positive,  // items[0]
  arithmetic,   // items[0] ops[0] items[1] ops[1] ..., from the left
  compare,      // the same, as Python's chain
  logical_and, logical_or,  // items
  concat,       // items, joined by ~
  conditional,  // items[1] if items[0] else items[2]; items[2] may be null
};

enum class Op : std::uint8_t { add, sub, mul, div, floordiv, mod, pow, eq, ne, lt, le, gt, ge, in, not_in };

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, star_star;  // *args, **kwargs
};

struct Expr {
  ExprKind kind = ExprKind::constant;
  int line = 1;
  std::size_t depth = 1;  // of the tree below, itself included
  std::string text;
  Value value;
  std::vector<ExprPtr> items;
  std::vector<Op> ops;
  Arguments arguments;
};

// What an assignment or a loop fills: a name, a namespace's attribute, or a tuple of targets.
struct Target {
  enum class Kind : std::uint8_t { name, attribute, tuple } kind = Kind::name;
  int line = 1;
  std::string name;
  std::string attribute;
  std::vector<Target> items;
};

struct Stmt;
using Block = std::vector<std::unique_ptr<const Stmt>>;

enum class StmtKind : std::uint8_t {
  text,       // value
  output,     // exprs[0]
  branch,     // exprs[i] ? blocks[i] : ... ; one more block is the else
  loop,       // for target in exprs[0] if exprs[1] (or null): blocks[0], else blocks[1] (or none)
  set,        // target = exprs[0]
  set_block,  // target = blocks[0] through the filter exprs[0] (or null)
  with,       // targets[i] = exprs[i]: blocks[0]
  filter,     // blocks[0] through exprs[0]
  macro,      // function
  call,       // exprs[0] is a call; function is its caller()
  scope,      // blocks[0]: generation
  break_loop, continue_loop,
};

// A macro, or the body of a call block.
struct Function {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Block body;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};

struct Stmt {
  StmtKind kind = StmtKind::text;
  int line = 1;
  Value value;
  std::vector<ExprPtr> exprs;
  std::vector<Target> targets;
  std::vector<Block> blocks;
  std::unique_ptr<const Function> function;
};

}  // namespace ponder::core::jinja
