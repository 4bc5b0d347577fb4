// Arithmetic and algebra as answers write them (LaTeX or plain): parsed once into a tree, computed exactly where
// possible. No computer algebra: two expressions with variables are compared at points (answer.cpp).
//
// Grammar: + - * / ^ ! \frac \sqrt[n] |x| \pi, parentheses, braces, implied products, mixed numbers, 1.2*10^3 and 1.2e3,
// thousands by comma or space. Bounds: nesting 64, exponents of absolute value 64, factorials of 50, literals of 60
// digits, numbers of 512 bits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/verify/exact_number.h"

namespace ponder::core {

struct Number {
  std::optional<Rational> exact;  // empty: irrational, or too long to carry exactly
  double approximate = 0;
};

class Expression {
 public:
  // Of text that normalized_math() wrote. nullopt: not an expression of the grammar.
  static std::optional<Expression> parse(std::string_view text);
  // left - right.
  static Expression difference(const Expression& left, const Expression& right);

  // Names in the expression, each once, in order of appearance: "x", "x_1", "\\theta".
  const std::vector<std::string>& variables() const { return variables_; }

  // With values[i] for variables()[i]. nullopt: undefined (division by zero, an even root of a negative number), or out of
  // bounds. Constants keep to exact numbers and roots: what would overflow is out of bounds; with variables it goes on
  // in floating point. `steps` is counted down, one per node; at zero everything is undefined.
  std::optional<Number> evaluate(std::span<const Rational> values, std::int64_t& steps) const;

  // For a difference: whether its two sides have the same value there; nullopt where one is undefined. Exact where both are,
  // else to a relative 1e-9.
  std::optional<bool> is_zero(std::span<const Rational> values, std::int64_t& steps) const;

  // A number as one writes it: digits, sign, point, a*10^n, mixed number, or a fraction of such.
  bool is_literal() const;
  bool is_decimal() const;        // a literal with a point or a power of ten
  // Holds a computation between literals that could have been carried out: 17+25, 2*3, 2^10, 5!.
  bool is_unevaluated() const;

 private:
  enum class Op { number, variable, pi, negate, add, subtract, multiply, divide, power, factorial, root, absolute };
  struct Node {
    Op op;
    int left = -1, right = -1;  // nodes; variable: left is its index; root: left is the radicand, right the degree
    Rational value;             // number
    bool decimal = false;
  };
  class Parser;

  std::optional<Number> evaluate(int node, std::span<const Rational> values, std::int64_t& steps) const;
  bool literal(int node) const;
  bool rational_only(int node) const;  // no root, no pi, no variable below
  int append(const Expression& other);  // the copied root

  std::vector<Node> nodes_;
  std::vector<std::string> variables_;
  int root_ = -1;
};

}  // namespace ponder::core
