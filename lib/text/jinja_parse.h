// The parser's two halves: statements (jinja_parser.cpp) and expressions (jinja_expressions.cpp).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/format.h"
#include "lib/text/jinja_ast.h"
#include "lib/text/jinja_lexer.h"

namespace ponder::core::jinja {

// Parameters of a macro, named arguments of a call: each is looked for among the others.
constexpr std::size_t kMaxNames = 1000;

class Parser {
 public:
  Parser(std::vector<Token> tokens, std::size_t max_depth) : tokens_(std::move(tokens)), max_depth_(max_depth) {}

  Result<Block> parse_template();

 private:
  // Counts one level of recursion.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) { ++parser_.depth_; }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  // Statements.
  Result<Block> parse_body(std::initializer_list<std::string_view> ends);  // "%} ... {% end", up to the end's name
  Result<Block> parse_block(std::initializer_list<std::string_view> ends);
  Status parse_statement(Block& out);
  Result<std::unique_ptr<Stmt>> parse_if();
  Result<std::unique_ptr<Stmt>> parse_for();
  Result<std::unique_ptr<Stmt>> parse_set();
  Result<std::unique_ptr<Stmt>> parse_with();
  Result<std::unique_ptr<Stmt>> parse_macro();
  Result<std::unique_ptr<Stmt>> parse_call_block();
  Result<std::unique_ptr<Stmt>> parse_filter_block();
  Status parse_print(Block& out);
  Status parse_signature(Function& function);
  Status parse_function_body(Function& function, std::string_view end);
  Result<Target> parse_target(bool allow_attribute);  // a, or a, b, ...
  Result<Target> parse_one_target(bool allow_attribute);

  // Expressions.
  Result<ExprPtr> parse_tuple(bool with_conditional = true, bool in_parentheses = false);
  Result<ExprPtr> parse_expression(bool with_conditional = true);
  Result<ExprPtr> parse_binary(int precedence);
  Result<ExprPtr> parse_not();
  Result<ExprPtr> parse_unary(bool with_filter);
  Result<ExprPtr> parse_primary();
  Result<ExprPtr> parse_list();
  Result<ExprPtr> parse_dict();
  Result<ExprPtr> parse_postfix(ExprPtr base);
  Result<ExprPtr> parse_subscript(ExprPtr base);
  Result<ExprPtr> parse_index();
  Result<ExprPtr> parse_filters(ExprPtr base);
  Result<ExprPtr> parse_filter(ExprPtr base);  // behind "|"
  Result<ExprPtr> parse_test(ExprPtr base);    // behind "is"
  Status parse_arguments(Expr& call);          // at "("

  const Token& current() const { return tokens_[at_]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_tuple_end() const;
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  Status expect_op(std::string_view op);
  Status expect(TokenType type, std::string_view what);
  Result<std::string> expect_name();
  Status unexpected(std::string_view want) const;
  Status check_depth() const;
  Result<ExprPtr> finish(std::unique_ptr<Expr> expr) const;  // sets and checks the depth
  std::unique_ptr<Expr> make(ExprKind kind, int line, ExprPtr first = nullptr) const;
  std::unique_ptr<Stmt> make(StmtKind kind) const;

  template <class... Args>
  Status error(int line, fmt::format_string<Args...> text, Args&&... args) const {
    return fail(Code::bad_template, "line {}: {}", line, formatted(text, std::forward<Args>(args)...));
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t max_depth_;
  std::size_t depth_ = 0;
  int n_loops_ = 0;        // around the current place, within its macro
  int n_conditions_ = 0;   // ifs and inline ifs around: an unknown filter or test there fails when it is reached
  std::vector<std::pair<int, std::string>> unknown_;  // others, by line; an "if" behind may still make them conditional
  Function* function_ = nullptr;  // the macro around
};

// The tables of filters and tests (jinja_filters.cpp, jinja_predicates.cpp).
bool has_filter(std::string_view name);
bool has_predicate(std::string_view name);

}  // namespace ponder::core::jinja
