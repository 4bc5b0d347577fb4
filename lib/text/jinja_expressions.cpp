// Expressions, from the loosest binding to the tightest: inline if, or, and, not, comparisons, + -, ~, * / // %, **, signs,
// then subscripts and calls, then filters and tests. Chains of one level become one node, so that long ones are not deep.
#include <algorithm>

#include "lib/text/jinja_parse.h"

namespace ponder::core::jinja {

std::unique_ptr<Expr> Parser::make(ExprKind kind, int line, ExprPtr first) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  if (first) expr->items.push_back(std::move(first));
  return expr;
}

Result<ExprPtr> Parser::finish(std::unique_ptr<Expr> expr) const {
  std::size_t below = 0;
  const auto look = [&](const ExprPtr& child) {
    if (child) below = std::max(below, child->depth);
  };
  for (const ExprPtr& child : expr->items) look(child);
  for (const ExprPtr& child : expr->arguments.positional) look(child);
  for (const auto& [name, child] : expr->arguments.named) look(child);
  look(expr->arguments.star);
  look(expr->arguments.star_star);
  expr->depth = below + 1;
  if (expr->depth > max_depth_) return error(expr->line, "an expression is nested deeper than {} (max_depth)", max_depth_);
  return ExprPtr(std::move(expr));
}

bool Parser::is_tuple_end() const {
  return current().is(TokenType::variable_end) || current().is(TokenType::block_end) || current().is_op(")") ||
         current().is_name("recursive");
}

// One expression, or a tuple when commas follow.
Result<ExprPtr> Parser::parse_tuple(bool with_conditional, bool in_parentheses) {
  const int line = current().line;
  auto tuple = make(ExprKind::tuple, line);
  bool is_tuple = in_parentheses && current().is_op(")");
  while (!is_tuple_end()) {
    PONDER_ASSIGN(ExprPtr item, parse_expression(with_conditional));
    tuple->items.push_back(std::move(item));
    if (!skip_op(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return finish(std::move(tuple));
  if (tuple->items.empty()) return unexpected("an expression");
  return ExprPtr(std::move(tuple->items[0]));
}

Result<ExprPtr> Parser::parse_expression(bool with_conditional) {
  const Level level(*this);
  PONDER_TRY(check_depth());
  const std::size_t n_unknown = unknown_.size();
  PONDER_ASSIGN(ExprPtr expr, parse_binary(0));
  while (with_conditional && current().is_name("if")) {
    unknown_.resize(n_unknown);
    auto conditional = make(ExprKind::conditional, next().line);
    ++n_conditions_;
    PONDER_ASSIGN(ExprPtr condition, parse_binary(0));
    conditional->items.push_back(std::move(condition));
    conditional->items.push_back(std::move(expr));
    conditional->items.push_back(nullptr);
    if (skip_name("else")) {
      PONDER_ASSIGN(conditional->items[2], parse_expression());
    }
    --n_conditions_;
    PONDER_ASSIGN(expr, finish(std::move(conditional)));
  }
  return expr;
}

namespace {

// Binding strength of the chains: 0 or, 1 and, 2 comparisons, 3 + -, 4 ~, 5 * / // %, 6 **.
constexpr int kCompare = 2, kTightest = 6;

struct BinaryOp {
  std::string_view text;
  int precedence;
  Op op;
};
constexpr BinaryOp kBinaryOps[] = {
    {"==", 2, Op::eq},  {"!=", 2, Op::ne},  {"<", 2, Op::lt},  {"<=", 2, Op::le},       {">", 2, Op::gt},
    {">=", 2, Op::ge},  {"+", 3, Op::add},  {"-", 3, Op::sub}, {"*", 5, Op::mul},       {"/", 5, Op::div},
    {"//", 5, Op::floordiv}, {"%", 5, Op::mod}, {"**", 6, Op::pow}, {"~", 4, Op::add},
};
constexpr ExprKind kChains[] = {ExprKind::logical_or, ExprKind::logical_and, ExprKind::compare,   ExprKind::arithmetic,
                                ExprKind::concat,     ExprKind::arithmetic,  ExprKind::arithmetic};

}  // namespace

Result<ExprPtr> Parser::parse_binary(int precedence) {
  if (precedence > kTightest) return parse_unary(true);
  const auto parse_operand = [&]() -> Result<ExprPtr> {
    return precedence == kCompare - 1 ? parse_not() : parse_binary(precedence + 1);
  };
  const auto parse_op = [&]() -> const Op* {
    static constexpr Op kIn = Op::in, kNotIn = Op::not_in, kNone = Op::add;
    if (precedence == 0) return skip_name("or") ? &kNone : nullptr;
    if (precedence == 1) return skip_name("and") ? &kNone : nullptr;
    if (precedence == kCompare) {
      if (skip_name("in")) return &kIn;
      if (current().is_name("not") && at_ + 1 < tokens_.size() && tokens_[at_ + 1].is_name("in")) {
        at_ += 2;
        return &kNotIn;
      }
    }
    for (const BinaryOp& op : kBinaryOps)
      if (op.precedence == precedence && skip_op(op.text)) return &op.op;
    return nullptr;
  };
  const int line = current().line;
  PONDER_ASSIGN(ExprPtr first, parse_operand());
  std::unique_ptr<Expr> chain;
  while (const Op* op = parse_op()) {
    if (!chain) chain = make(kChains[precedence], line, std::move(first));
    chain->ops.push_back(*op);
    PONDER_ASSIGN(ExprPtr operand, parse_operand());
    chain->items.push_back(std::move(operand));
  }
  if (!chain) return first;
  return finish(std::move(chain));
}

Result<ExprPtr> Parser::parse_not() {
  const int line = current().line;
  std::size_t n_nots = 0;
  while (skip_name("not")) ++n_nots;
  PONDER_ASSIGN(ExprPtr expr, parse_binary(kCompare));
  for (; n_nots > 0; --n_nots) {
    PONDER_ASSIGN(expr, finish(make(ExprKind::logical_not, line, std::move(expr))));
  }
  return expr;
}

Result<ExprPtr> Parser::parse_unary(bool with_filter) {
  const Level level(*this);
  PONDER_TRY(check_depth());
  const int line = current().line;
  ExprPtr expr;
  if (current().is_op("-") || current().is_op("+")) {
    const ExprKind kind = next().text == "-" ? ExprKind::negative : ExprKind::positive;
    PONDER_ASSIGN(ExprPtr operand, parse_unary(false));
    PONDER_ASSIGN(expr, finish(make(kind, line, std::move(operand))));
  } else {
    PONDER_ASSIGN(expr, parse_primary());
  }
  PONDER_ASSIGN(expr, parse_postfix(std::move(expr)));
  if (!with_filter) return expr;
  return parse_filters(std::move(expr));
}

Result<ExprPtr> Parser::parse_primary() {
  const Token& token = current();
  auto constant = make(ExprKind::constant, token.line);
  if (token.is(TokenType::name)) {
    next();
    if (token.text == "true" || token.text == "True") {
      constant->value = Value::boolean(true);
    } else if (token.text == "false" || token.text == "False") {
      constant->value = Value::boolean(false);
    } else if (token.text == "none" || token.text == "None") {
      constant->value = Value::none();
    } else {
      if (function_ && token.text == "caller") function_->uses_caller = true;
      if (function_ && token.text == "varargs") function_->uses_varargs = true;
      if (function_ && token.text == "kwargs") function_->uses_kwargs = true;
      constant->kind = ExprKind::name;
      constant->text = token.text;
    }
  } else if (token.is(TokenType::string)) {
    std::string text;
    while (current().is(TokenType::string)) text += next().text;
    constant->value = Value::string(std::make_shared<const Str>(std::move(text), std::vector<TextSpan>(), nullptr));
  } else if (token.is(TokenType::integer)) {
    constant->value = Value::integer(next().integer);
  } else if (token.is(TokenType::real)) {
    constant->value = Value::real(next().real);
  } else if (skip_op("(")) {
    PONDER_ASSIGN(ExprPtr expr, parse_tuple(true, true));
    PONDER_TRY(expect_op(")"));
    return expr;
  } else if (token.is_op("[")) {
    return parse_list();
  } else if (token.is_op("{")) {
    return parse_dict();
  } else {
    return unexpected("an expression");
  }
  return finish(std::move(constant));
}

Result<ExprPtr> Parser::parse_list() {
  auto list = make(ExprKind::list, next().line);
  while (!current().is_op("]")) {
    if (!list->items.empty()) PONDER_TRY(expect_op(","));
    if (current().is_op("]")) break;
    PONDER_ASSIGN(ExprPtr item, parse_expression());
    list->items.push_back(std::move(item));
  }
  next();
  return finish(std::move(list));
}

Result<ExprPtr> Parser::parse_dict() {
  auto dict = make(ExprKind::dict, next().line);
  while (!current().is_op("}")) {
    if (!dict->items.empty()) PONDER_TRY(expect_op(","));
    if (current().is_op("}")) break;
    PONDER_ASSIGN(ExprPtr key, parse_expression());
    PONDER_TRY(expect_op(":"));
    PONDER_ASSIGN(ExprPtr value, parse_expression());
    dict->items.push_back(std::move(key));
    dict->items.push_back(std::move(value));
  }
  next();
  return finish(std::move(dict));
}

Result<ExprPtr> Parser::parse_postfix(ExprPtr base) {
  while (true) {
    if (current().is_op(".") || current().is_op("[")) {
      PONDER_ASSIGN(base, parse_subscript(std::move(base)));
    } else if (current().is_op("(")) {
      auto call = make(ExprKind::call, current().line, std::move(base));
      PONDER_TRY(parse_arguments(*call));
      PONDER_ASSIGN(base, finish(std::move(call)));
    } else {
      return base;
    }
  }
}

Result<ExprPtr> Parser::parse_subscript(ExprPtr base) {
  const Token& token = next();
  if (token.text == ".") {
    if (current().is(TokenType::name)) {
      auto attribute = make(ExprKind::attribute, token.line, std::move(base));
      attribute->text = next().text;
      return finish(std::move(attribute));
    }
    if (!current().is(TokenType::integer)) return unexpected("a name or number behind '.'");
    auto item = make(ExprKind::item, token.line, std::move(base));
    auto index = make(ExprKind::constant, token.line);
    index->value = Value::integer(next().integer);
    item->items.push_back(std::move(index));
    return finish(std::move(item));
  }
  auto item = make(ExprKind::item, token.line, std::move(base));
  PONDER_ASSIGN(ExprPtr index, parse_index());
  if (current().is_op(",")) {
    auto tuple = make(ExprKind::tuple, token.line, std::move(index));
    while (skip_op(",")) {
      PONDER_ASSIGN(ExprPtr next_index, parse_index());
      tuple->items.push_back(std::move(next_index));
    }
    PONDER_ASSIGN(index, finish(std::move(tuple)));
  }
  PONDER_TRY(expect_op("]"));
  item->items.push_back(std::move(index));
  return finish(std::move(item));
}

// What stands between "[" and "]": an expression, or a slice.
Result<ExprPtr> Parser::parse_index() {
  const int line = current().line;
  ExprPtr first;
  if (!current().is_op(":")) {
    PONDER_ASSIGN(first, parse_expression());
    if (!current().is_op(":")) return first;
  }
  auto slice = make(ExprKind::slice, line);
  slice->items.push_back(std::move(first));
  slice->items.resize(3);
  for (std::size_t i = 1; i < 3 && skip_op(":"); ++i)
    if (!current().is_op(":") && !current().is_op("]") && !current().is_op(",")) {
      PONDER_ASSIGN(slice->items[i], parse_expression());
    }
  return finish(std::move(slice));
}

Result<ExprPtr> Parser::parse_filters(ExprPtr base) {
  while (true) {
    if (skip_op("|")) {
      PONDER_ASSIGN(base, parse_filter(std::move(base)));
    } else if (skip_name("is")) {
      PONDER_ASSIGN(base, parse_test(std::move(base)));
    } else if (current().is_op("(")) {
      auto call = make(ExprKind::call, current().line, std::move(base));
      PONDER_TRY(parse_arguments(*call));
      PONDER_ASSIGN(base, finish(std::move(call)));
    } else {
      return base;
    }
  }
}

Result<ExprPtr> Parser::parse_filter(ExprPtr base) {
  auto filter = make(ExprKind::filter, current().line);
  filter->items.push_back(std::move(base));
  PONDER_ASSIGN(filter->text, expect_name());
  while (skip_op(".")) {
    PONDER_ASSIGN(const std::string part, expect_name());
    filter->text += "." + part;
  }
  if (n_conditions_ == 0 && !has_filter(filter->text))
    unknown_.emplace_back(filter->line, formatted("there is no filter '{}'", filter->text));
  if (current().is_op("(")) PONDER_TRY(parse_arguments(*filter));
  return finish(std::move(filter));
}

Result<ExprPtr> Parser::parse_test(ExprPtr base) {
  const int line = current().line;
  const bool negated = skip_name("not");
  auto test = make(ExprKind::test, line, std::move(base));
  PONDER_ASSIGN(test->text, expect_name());
  if (n_conditions_ == 0 && !has_predicate(test->text))
    unknown_.emplace_back(line, formatted("there is no test '{}'", test->text));
  const Token& token = current();
  const bool starts_operand = token.is(TokenType::name) || token.is(TokenType::string) || token.is(TokenType::integer) ||
                              token.is(TokenType::real) || token.is_op("[") || token.is_op("{");
  if (token.is_op("(")) {
    PONDER_TRY(parse_arguments(*test));
  } else if (starts_operand && !token.is_name("else") && !token.is_name("or") && !token.is_name("and")) {
    if (token.is_name("is")) return error(token.line, "tests cannot be chained with 'is'");
    PONDER_ASSIGN(ExprPtr operand, parse_primary());
    PONDER_ASSIGN(operand, parse_postfix(std::move(operand)));
    test->arguments.positional.push_back(std::move(operand));
  }
  PONDER_ASSIGN(ExprPtr result, finish(std::move(test)));
  if (!negated) return result;
  return finish(make(ExprKind::logical_not, line, std::move(result)));
}

Status Parser::parse_arguments(Expr& call) {
  PONDER_TRY(expect_op("("));
  Arguments& arguments = call.arguments;
  for (bool first = true; !current().is_op(")"); first = false) {
    if (!first) {
      PONDER_TRY(expect_op(","));
      if (current().is_op(")")) break;
    }
    const int line = current().line;
    if (skip_op("*")) {
      if (arguments.star || arguments.star_star) return error(line, "'*' is there twice or behind '**'");
      PONDER_ASSIGN(arguments.star, parse_expression());
    } else if (skip_op("**")) {
      if (arguments.star_star) return error(line, "'**' is there twice");
      PONDER_ASSIGN(arguments.star_star, parse_expression());
    } else if (current().is(TokenType::name) && at_ + 1 < tokens_.size() && tokens_[at_ + 1].is_op("=")) {
      if (arguments.star_star) return error(line, "a named argument stands behind '**'");
      if (arguments.named.size() >= kMaxNames) return error(line, "more than {} named arguments", kMaxNames);
      std::string name = next().text;
      next();
      for (const auto& [other, value] : arguments.named)
        if (other == name) return error(line, "the argument '{}' is given twice", name);
      PONDER_ASSIGN(ExprPtr value, parse_expression());
      arguments.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (arguments.star || arguments.star_star || !arguments.named.empty())
        return error(line, "a positional argument stands behind a named one");
      PONDER_ASSIGN(ExprPtr value, parse_expression());
      arguments.positional.push_back(std::move(value));
    }
  }
  return expect_op(")");
}

}  // namespace ponder::core::jinja
