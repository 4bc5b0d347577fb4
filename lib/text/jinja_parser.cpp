// Statements. The grammar is that of Jinja 3.1 with transformers' settings: its loopcontrols extension (break, continue)
// and its `generation` tag. What needs a loader of other templates (extends, include, import) is refused.
#include "lib/text/jinja_parser.h"

#include <algorithm>

#include "lib/text/jinja_parse.h"

namespace ponder::core::jinja {

bool Parser::skip_op(std::string_view op) {
  if (!current().is_op(op)) return false;
  next();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  next();
  return true;
}

Status Parser::unexpected(std::string_view want) const {
  return error(current().line, "found {}, want {}", describe(current()), want);
}

Status Parser::expect_op(std::string_view op) {
  return skip_op(op) ? Status() : unexpected(formatted("'{}'", op));
}

Status Parser::expect(TokenType type, std::string_view what) {
  if (!current().is(type)) return unexpected(what);
  next();
  return {};
}

Result<std::string> Parser::expect_name() {
  if (!current().is(TokenType::name)) return unexpected("a name");
  return next().text;
}

Status Parser::check_depth() const {
  if (depth_ <= max_depth_) return {};
  return error(current().line, "nested deeper than {} (max_depth)", max_depth_);
}

std::unique_ptr<Stmt> Parser::make(StmtKind kind) const {
  auto stmt = std::make_unique<Stmt>();
  stmt->kind = kind;
  stmt->line = current().line;
  return stmt;
}

Result<Block> Parser::parse_template() {
  PONDER_ASSIGN(Block block, parse_block({}));
  if (!current().is(TokenType::end)) return unexpected("the end of the template");
  if (!unknown_.empty()) return error(unknown_[0].first, "{}", unknown_[0].second);
  return block;
}

Result<Block> Parser::parse_body(std::initializer_list<std::string_view> ends) {
  skip_op(":");
  const int line = current().line;
  PONDER_TRY(expect(TokenType::block_end, "'%}'"));
  PONDER_ASSIGN(Block block, parse_block(ends));
  if (current().is(TokenType::end)) return error(line, "the block that starts here has no end, want '{}'", *(ends.end() - 1));
  return block;
}

// Statements up to the end of the template or, with `ends`, to a tag of such a name; its "{%" is consumed.
Result<Block> Parser::parse_block(std::initializer_list<std::string_view> ends) {
  const Level level(*this);
  PONDER_TRY(check_depth());
  Block block;
  while (!current().is(TokenType::end)) {
    if (current().is(TokenType::data)) {
      auto stmt = make(StmtKind::text);
      stmt->value = Value::string(std::make_shared<const Str>(next().text, std::vector<TextSpan>(), nullptr));
      block.push_back(std::move(stmt));
    } else if (current().is(TokenType::variable_begin)) {
      next();
      auto stmt = make(StmtKind::output);
      PONDER_ASSIGN(ExprPtr expr, parse_tuple());
      stmt->exprs.push_back(std::move(expr));
      PONDER_TRY(expect(TokenType::variable_end, "'}}'"));
      block.push_back(std::move(stmt));
    } else {
      next();  // "{%"
      for (const std::string_view end : ends)
        if (current().is_name(end)) return block;
      PONDER_TRY(parse_statement(block));
      PONDER_TRY(expect(TokenType::block_end, "'%}'"));
    }
  }
  return block;
}

Status Parser::parse_statement(Block& out) {
  if (!current().is(TokenType::name)) return unexpected("the name of a tag");
  const Token& tag = current();
  const std::string_view name = tag.text;
  Result<std::unique_ptr<Stmt>> stmt = make(StmtKind::scope);
  if (name == "if") {
    stmt = parse_if();
  } else if (name == "for") {
    stmt = parse_for();
  } else if (name == "set") {
    stmt = parse_set();
  } else if (name == "with") {
    stmt = parse_with();
  } else if (name == "macro") {
    stmt = parse_macro();
  } else if (name == "call") {
    stmt = parse_call_block();
  } else if (name == "filter") {
    stmt = parse_filter_block();
  } else if (name == "print") {
    return parse_print(out);
  } else if (name == "break" || name == "continue") {
    stmt.value()->kind = name == "break" ? StmtKind::break_loop : StmtKind::continue_loop;
    next();
    if (n_loops_ == 0) return error(tag.line, "'{}' stands outside of a loop", name);
  } else if (name == "generation") {
    next();
    PONDER_ASSIGN(Block body, parse_body({"endgeneration"}));
    next();
    stmt.value()->blocks.push_back(std::move(body));
  } else if (name == "extends" || name == "include" || name == "import" || name == "from" || name == "block" ||
             name == "autoescape") {
    return error(tag.line, "the tag '{}' is not supported in chat templates", name);
  } else {
    return error(tag.line, "unknown tag '{}'", name);
  }
  PONDER_TRY(Status(stmt.status()));
  out.push_back(std::move(stmt).value());
  return {};
}

Result<std::unique_ptr<Stmt>> Parser::parse_if() {
  auto stmt = make(StmtKind::branch);
  next();
  ++n_conditions_;
  while (true) {
    PONDER_ASSIGN(ExprPtr condition, parse_tuple(false));
    stmt->exprs.push_back(std::move(condition));
    PONDER_ASSIGN(Block body, parse_body({"elif", "else", "endif"}));
    stmt->blocks.push_back(std::move(body));
    const Token& end = next();
    if (end.is_name("elif")) continue;
    if (end.is_name("else")) {
      PONDER_ASSIGN(Block otherwise, parse_body({"endif"}));
      next();
      stmt->blocks.push_back(std::move(otherwise));
    }
    --n_conditions_;
    return stmt;
  }
}

Result<std::unique_ptr<Stmt>> Parser::parse_for() {
  auto stmt = make(StmtKind::loop);
  next();
  PONDER_ASSIGN(Target target, parse_target(false));
  stmt->targets.push_back(std::move(target));
  if (!skip_name("in")) return unexpected("'in'");
  PONDER_ASSIGN(ExprPtr source, parse_tuple(false));
  stmt->exprs.push_back(std::move(source));
  stmt->exprs.push_back(nullptr);
  if (skip_name("if")) {
    PONDER_ASSIGN(stmt->exprs[1], parse_expression());
  }
  if (current().is_name("recursive")) return error(current().line, "recursive loops are not supported");
  ++n_loops_;
  PONDER_ASSIGN(Block body, parse_body({"else", "endfor"}));
  --n_loops_;
  stmt->blocks.push_back(std::move(body));
  if (next().is_name("else")) {
    PONDER_ASSIGN(Block otherwise, parse_body({"endfor"}));
    next();
    stmt->blocks.push_back(std::move(otherwise));
  }
  return stmt;
}

Result<std::unique_ptr<Stmt>> Parser::parse_set() {
  auto stmt = make(StmtKind::set);
  next();
  PONDER_ASSIGN(Target target, parse_target(true));
  stmt->targets.push_back(std::move(target));
  if (skip_op("=")) {
    PONDER_ASSIGN(ExprPtr value, parse_tuple());
    stmt->exprs.push_back(std::move(value));
    return stmt;
  }
  stmt->kind = StmtKind::set_block;
  stmt->exprs.push_back(nullptr);
  while (skip_op("|")) {
    PONDER_ASSIGN(stmt->exprs[0], parse_filter(std::move(stmt->exprs[0])));
  }
  PONDER_ASSIGN(Block body, parse_body({"endset"}));
  next();
  stmt->blocks.push_back(std::move(body));
  return stmt;
}

Result<std::unique_ptr<Stmt>> Parser::parse_with() {
  auto stmt = make(StmtKind::with);
  next();
  while (!current().is(TokenType::block_end)) {
    if (!stmt->targets.empty()) PONDER_TRY(expect_op(","));
    PONDER_ASSIGN(Target target, parse_one_target(false));
    stmt->targets.push_back(std::move(target));
    PONDER_TRY(expect_op("="));
    PONDER_ASSIGN(ExprPtr value, parse_expression());
    stmt->exprs.push_back(std::move(value));
  }
  PONDER_ASSIGN(Block body, parse_body({"endwith"}));
  next();
  stmt->blocks.push_back(std::move(body));
  return stmt;
}

Status Parser::parse_signature(Function& function) {
  PONDER_TRY(expect_op("("));
  while (!current().is_op(")")) {
    if (!function.parameters.empty()) PONDER_TRY(expect_op(","));
    PONDER_ASSIGN(std::string name, expect_name());
    if (function.parameters.size() >= kMaxNames) return error(current().line, "more than {} parameters", kMaxNames);
    if (std::find(function.parameters.begin(), function.parameters.end(), name) != function.parameters.end())
      return error(current().line, "the parameter '{}' is there twice", name);
    function.parameters.push_back(std::move(name));
    if (skip_op("=")) {
      PONDER_ASSIGN(ExprPtr value, parse_expression());
      function.defaults.push_back(std::move(value));
    } else if (!function.defaults.empty()) {
      return error(current().line, "a parameter without default behind one with a default");
    }
  }
  return expect_op(")");
}

Status Parser::parse_function_body(Function& function, std::string_view end) {
  Function* const outer = std::exchange(function_, &function);
  const int outer_loops = std::exchange(n_loops_, 0);
  PONDER_ASSIGN(function.body, parse_body({end}));
  function_ = outer;
  n_loops_ = outer_loops;
  if (outer) {
    outer->uses_caller |= function.uses_caller;
    outer->uses_varargs |= function.uses_varargs;
    outer->uses_kwargs |= function.uses_kwargs;
  }
  next();
  return {};
}

Result<std::unique_ptr<Stmt>> Parser::parse_macro() {
  auto stmt = make(StmtKind::macro);
  next();
  auto function = std::make_unique<Function>();
  PONDER_ASSIGN(function->name, expect_name());
  PONDER_TRY(parse_signature(*function));
  PONDER_TRY(parse_function_body(*function, "endmacro"));
  stmt->function = std::move(function);
  return stmt;
}

Result<std::unique_ptr<Stmt>> Parser::parse_call_block() {
  auto stmt = make(StmtKind::call);
  next();
  auto function = std::make_unique<Function>();
  function->name = "caller";
  if (current().is_op("(")) PONDER_TRY(parse_signature(*function));
  PONDER_ASSIGN(ExprPtr call, parse_expression());
  if (call->kind != ExprKind::call) return error(stmt->line, "'call' wants a call of a macro");
  stmt->exprs.push_back(std::move(call));
  PONDER_TRY(parse_function_body(*function, "endcall"));
  stmt->function = std::move(function);
  return stmt;
}

Result<std::unique_ptr<Stmt>> Parser::parse_filter_block() {
  auto stmt = make(StmtKind::filter);
  next();
  PONDER_ASSIGN(ExprPtr filter, parse_filter(nullptr));
  while (skip_op("|")) {
    PONDER_ASSIGN(filter, parse_filter(std::move(filter)));
  }
  stmt->exprs.push_back(std::move(filter));
  PONDER_ASSIGN(Block body, parse_body({"endfilter"}));
  next();
  stmt->blocks.push_back(std::move(body));
  return stmt;
}

Status Parser::parse_print(Block& out) {
  next();
  for (bool first = true; !current().is(TokenType::block_end); first = false) {
    if (!first) PONDER_TRY(expect_op(","));
    auto stmt = make(StmtKind::output);
    PONDER_ASSIGN(ExprPtr expr, parse_expression());
    stmt->exprs.push_back(std::move(expr));
    out.push_back(std::move(stmt));
  }
  return {};
}

Result<Target> Parser::parse_target(bool allow_attribute) {
  PONDER_ASSIGN(Target first, parse_one_target(allow_attribute));
  if (!current().is_op(",")) return first;
  Target tuple;
  tuple.kind = Target::Kind::tuple;
  tuple.line = first.line;
  tuple.items.push_back(std::move(first));
  while (skip_op(",")) {
    if (!current().is(TokenType::name) && !current().is_op("(")) break;
    if (current().is_name("in")) break;
    PONDER_ASSIGN(Target item, parse_one_target(allow_attribute));
    tuple.items.push_back(std::move(item));
  }
  return tuple;
}

Result<Target> Parser::parse_one_target(bool allow_attribute) {
  const Level level(*this);
  PONDER_TRY(check_depth());
  if (skip_op("(")) {
    PONDER_ASSIGN(Target inner, parse_target(allow_attribute));
    PONDER_TRY(expect_op(")"));
    return inner;
  }
  Target target;
  target.line = current().line;
  PONDER_ASSIGN(target.name, expect_name());
  for (const char* constant : {"true", "false", "none", "True", "False", "None"})
    if (target.name == constant) return error(target.line, "'{}' cannot be assigned to", constant);
  if (allow_attribute && skip_op(".")) {
    target.kind = Target::Kind::attribute;
    PONDER_ASSIGN(target.attribute, expect_name());
  }
  return target;
}

Result<Block> parse(std::string_view source, std::size_t max_depth) {
  PONDER_ASSIGN(std::vector<Token> tokens, tokenize(source));
  return Parser(std::move(tokens), max_depth).parse_template();
}

}  // namespace ponder::core::jinja
