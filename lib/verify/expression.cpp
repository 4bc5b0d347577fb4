#include "lib/verify/expression.h"

#include <algorithm>
#include <cmath>

#include "lib/verify/math_text.h"

namespace ponder::core {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxDigits = 60;
constexpr std::int64_t kMaxExponent = 64, kMaxFactorial = 50;

std::optional<Number> exact(std::optional<Rational> value) {
  if (!value) return std::nullopt;
  return Number{*value, value->to_double()};
}
std::optional<Number> inexact(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  return Number{std::nullopt, value};
}

}  // namespace

// Recursive descent; every function returns a node, or -1.
class Expression::Parser {
 public:
  Parser(std::string_view text, Expression& out) : text_(text), out_(out) {}

  bool run() {
    out_.root_ = sum();
    skip_spaces();
    return out_.root_ >= 0 && at_ == text_.size();
  }

 private:
  // Counts the nesting of a scope.
  struct Level {
    explicit Level(int& counter) : depth(++counter) {}
    ~Level() { --depth; }
    int& depth;
  };

  int add_node(Op op, int left = -1, int right = -1) {
    if ((op != Op::pi && left < 0) || (right < 0 && (op == Op::add || op == Op::subtract || op == Op::multiply || op == Op::divide ||
                                                     op == Op::power || op == Op::root)))
      return -1;
    out_.nodes_.push_back({op, left, right, {}, false});
    return static_cast<int>(out_.nodes_.size()) - 1;
  }
  int add_number(const std::optional<Rational>& value, bool decimal) {
    if (!value) return -1;
    out_.nodes_.push_back({Op::number, -1, -1, *value, decimal});
    return static_cast<int>(out_.nodes_.size()) - 1;
  }

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  char peek() {
    skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool take_command(std::string_view name) {  // "\\frac", not the beginning of a longer name
    skip_spaces();
    if (text_.substr(at_, name.size()) != name) return false;
    const std::size_t end = at_ + name.size();
    if (end < text_.size() && is_letter(text_[end])) return false;
    at_ = end;
    return true;
  }

  int sum() {
    Level level(depth_);
    if (depth_ > kMaxDepth) return -1;
    int left = product();
    while (left >= 0) {
      if (take('+')) {
        left = add_node(Op::add, left, product());
      } else if (take('-')) {
        left = add_node(Op::subtract, left, product());
      } else {
        break;
      }
    }
    return left;
  }

  int product() {
    int left = signed_factor();
    while (left >= 0) {
      if (take('*')) {
        left = add_node(Op::multiply, left, signed_factor());
      } else if (take('/')) {
        left = add_node(Op::divide, left, signed_factor());
      } else if (starts_factor()) {
        left = add_node(Op::multiply, left, power());
      } else {
        break;
      }
    }
    return left;
  }

  bool starts_factor() {
    const char c = peek();
    if (is_digit(c) || c == '.') return out_.nodes_.empty() || !after_digit();  // "4 2" is not a product
    if (c == '|') return bars_ == 0;
    if (c == '\\') return !(text_.substr(at_, 2) == "\\\\" || text_.substr(at_, 2) == "\\}" || text_.substr(at_, 2) == "\\{");
    return is_letter(c) || c == '(' || c == '{';
  }
  bool after_digit() const {
    std::size_t i = at_;
    while (i > 0 && text_[i - 1] == ' ') --i;
    return i > 0 && (is_digit(text_[i - 1]) || text_[i - 1] == '.');
  }

  int signed_factor() {
    Level level(depth_);
    if (depth_ > kMaxDepth) return -1;
    if (take('-')) return add_node(Op::negate, signed_factor());
    if (take('+')) return signed_factor();
    return power();
  }

  int power() {
    Level level(depth_);
    if (depth_ > kMaxDepth) return -1;
    int base = atom();
    while (base >= 0 && take('!')) base = add_node(Op::factorial, base);
    if (base < 0 || !take('^')) return base;
    const bool negative = take('-');
    int exponent = power();
    if (negative) exponent = add_node(Op::negate, exponent);
    return add_node(Op::power, base, exponent);
  }

  int enclosed(char close) {
    const int inner = sum();
    return take(close) ? inner : -1;
  }

  int atom() {
    const char c = peek();
    if (is_digit(c) || c == '.') return number();
    if (is_letter(c)) return variable(std::string(1, text_[at_++]));
    if (take('(')) return enclosed(')');
    if (take('{')) return enclosed('}');
    if (take('|')) {
      ++bars_;
      const int inner = enclosed('|');
      --bars_;
      return add_node(Op::absolute, inner);
    }
    if (c != '\\') return -1;
    if (take_command("\\pi")) return add_node(Op::pi);
    if (take_command("\\frac")) {
      const int numerator = argument();
      return add_node(Op::divide, numerator, argument());
    }
    if (take_command("\\sqrt")) {
      int degree = -1;
      if (take('[')) {
        degree = enclosed(']');
      } else {
        degree = add_number(Rational(2), false);
      }
      return add_node(Op::root, argument(), degree);
    }
    static constexpr std::string_view greek[] = {"\\alpha", "\\beta", "\\gamma", "\\delta", "\\epsilon", "\\theta", "\\lambda",
                                                 "\\mu", "\\rho", "\\sigma", "\\tau", "\\phi", "\\omega", "\\varphi", "\\ell"};
    for (const std::string_view name : greek)
      if (take_command(name)) return variable(std::string(name));
    return -1;
  }

  // What \frac and \sqrt take: braces, or one digit, letter or command.
  int argument() {
    Level level(depth_);
    if (depth_ > kMaxDepth) return -1;
    if (take('{')) return enclosed('}');
    if (is_digit(peek())) return add_number(Rational(text_[at_++] - '0'), false);
    if (peek() == '.' || peek() == '-') return -1;
    return atom();
  }

  int variable(std::string name) {
    if (at_ < text_.size() && text_[at_] == '_') {
      ++at_;
      if (at_ < text_.size() && (is_digit(text_[at_]) || is_letter(text_[at_]))) {
        name += '_', name += text_[at_++];
      } else if (at_ < text_.size() && text_[at_] == '{') {
        const std::size_t end = end_of_braces(text_, at_);
        if (end == std::string_view::npos) return -1;
        name += '_', name += text_.substr(at_, end - at_);
        at_ = end;
      } else {
        return -1;
      }
    }
    const auto known = std::find(out_.variables_.begin(), out_.variables_.end(), name);
    const int index = static_cast<int>(known - out_.variables_.begin());
    if (known == out_.variables_.end()) out_.variables_.push_back(std::move(name));
    return add_node(Op::variable, index);
  }

  // Digits from `at`, in exact groups of three behind `separator` where there is one; empty when there are no such groups.
  std::string grouped_digits(std::size_t& at, char separator) const {
    std::size_t i = at;
    std::string digits;
    while (i < text_.size() && is_digit(text_[i])) digits += text_[i++];
    if (digits.empty() || digits.size() > 3) return {};
    bool any = false;
    while (i + 3 < text_.size() && text_[i] == separator && is_digit(text_[i + 1]) && is_digit(text_[i + 2]) && is_digit(text_[i + 3])) {
      digits += text_.substr(i + 1, 3);
      i += 4, any = true;
    }
    if (!any || (i < text_.size() && is_digit(text_[i]))) return {};
    at = i;
    return digits;
  }

  int number() {
    std::size_t at = at_;
    std::string digits = grouped_digits(at, ',');
    if (digits.empty()) digits = grouped_digits(at, ' ');
    if (digits.empty())
      while (at < text_.size() && is_digit(text_[at])) digits += text_[at++];
    bool decimal = false;
    if (at < text_.size() && text_[at] == '.' && (at + 1 < text_.size() && is_digit(text_[at + 1]))) {
      decimal = true, digits += '.', ++at;
      while (at < text_.size() && is_digit(text_[at])) digits += text_[at++];
    }
    std::optional<Rational> value = Rational::parse_decimal(digits, kMaxDigits);
    at_ = at;
    if (!value) return -1;
    if (const auto exponent = power_of_ten()) {
      const auto scale = Rational(10).power(*exponent);
      return add_number(scale ? *value * *scale : std::nullopt, true);
    }
    if (!decimal)
      if (const auto fraction = mixed_fraction()) return add_number(*value + *fraction, false);
    return add_number(value, decimal);
  }

  // The rest of a number in scientific notation: e3, *10^3, *10^{-3}.
  std::optional<std::int64_t> power_of_ten() {
    std::size_t at = at_;
    const auto digits_at = [&](std::size_t from) {
      std::size_t end = from;
      while (end < text_.size() && is_digit(text_[end])) ++end;
      return end - from;
    };
    bool braces = false, negative = false;
    if (at < text_.size() && (text_[at] == 'e' || text_[at] == 'E')) {
      ++at;
    } else {
      const auto skip = [&] {
        while (at < text_.size() && text_[at] == ' ') ++at;
      };
      skip();
      if (at >= text_.size() || text_[at] != '*') return std::nullopt;
      ++at;
      skip();
      if (text_.substr(at, 3) != "10^") return std::nullopt;
      at += 3;
      if (at < text_.size() && text_[at] == '{') braces = true, ++at;
    }
    if (at < text_.size() && (text_[at] == '-' || text_[at] == '+')) negative = text_[at++] == '-';
    const std::size_t n = digits_at(at);
    if (n == 0 || n > 2) return std::nullopt;
    std::int64_t exponent = 0;
    for (std::size_t i = 0; i < n; ++i) exponent = exponent * 10 + (text_[at++] - '0');
    if (braces && (at >= text_.size() || text_[at++] != '}')) return std::nullopt;
    if (exponent > kMaxExponent) return std::nullopt;
    at_ = at;
    return negative ? -exponent : exponent;
  }

  // The fraction of a mixed number, behind its whole part: \frac{1}{2}, \frac12, or " 1/2".
  std::optional<Rational> mixed_fraction() {
    std::size_t at = at_;
    while (at < text_.size() && text_[at] == ' ') ++at;
    const auto digits = [&] {
      const std::size_t begin = at;
      while (at < text_.size() && is_digit(text_[at])) ++at;
      return text_.substr(begin, at - begin);
    };
    std::string_view numerator, denominator;
    if (text_.substr(at, 5) == "\\frac") {
      at += 5;
      for (std::string_view* part : {&numerator, &denominator}) {
        while (at < text_.size() && text_[at] == ' ') ++at;
        if (at < text_.size() && text_[at] == '{') {
          ++at;
          *part = digits();
          if (at >= text_.size() || text_[at++] != '}') return std::nullopt;
        } else if (at < text_.size() && is_digit(text_[at])) {
          *part = text_.substr(at++, 1);
        }
      }
    } else {
      if (at == at_) return std::nullopt;
      numerator = digits();
      if (at >= text_.size() || text_[at++] != '/') return std::nullopt;
      denominator = digits();
    }
    const auto p = Rational::parse_decimal(numerator, kMaxDigits), q = Rational::parse_decimal(denominator, kMaxDigits);
    const auto inverse = q ? q->reciprocal() : std::nullopt;
    if (!p || !inverse) return std::nullopt;
    at_ = at;
    return *p * *inverse;
  }

  std::string_view text_;
  Expression& out_;
  std::size_t at_ = 0;
  int depth_ = 0, bars_ = 0;
};

std::optional<Expression> Expression::parse(std::string_view text) {
  Expression e;
  if (!Parser(text, e).run()) return std::nullopt;
  return e;
}

int Expression::append(const Expression& other) {
  std::vector<int> index;
  for (const std::string& name : other.variables_) {
    const auto known = std::find(variables_.begin(), variables_.end(), name);
    index.push_back(static_cast<int>(known - variables_.begin()));
    if (known == variables_.end()) variables_.push_back(name);
  }
  const int offset = static_cast<int>(nodes_.size());
  for (Node node : other.nodes_) {
    if (node.op == Op::variable) {
      node.left = index[static_cast<std::size_t>(node.left)];
    } else {
      if (node.left >= 0) node.left += offset;
      if (node.right >= 0) node.right += offset;
    }
    nodes_.push_back(node);
  }
  return offset + other.root_;
}

Expression Expression::difference(const Expression& left, const Expression& right) {
  Expression e;
  const int a = e.append(left), b = e.append(right);
  e.nodes_.push_back({Op::subtract, a, b, {}, false});
  e.root_ = static_cast<int>(e.nodes_.size()) - 1;
  return e;
}

std::optional<Number> Expression::evaluate(std::span<const Rational> values, std::int64_t& steps) const {
  return evaluate(root_, values, steps);
}

std::optional<Number> Expression::evaluate(int index, std::span<const Rational> values, std::int64_t& steps) const {
  if (--steps < 0) return std::nullopt;
  const Node& node = nodes_[static_cast<std::size_t>(index)];
  if (node.op == Op::number) return exact(node.value);
  if (node.op == Op::variable) return exact(values[static_cast<std::size_t>(node.left)]);
  if (node.op == Op::pi) return inexact(3.14159265358979323846);
  const bool constant = variables_.empty();
  const auto left = evaluate(node.left, values, steps);
  if (!left) return std::nullopt;
  std::optional<Number> right;
  if (node.right >= 0 && !(right = evaluate(node.right, values, steps))) return std::nullopt;
  const bool both = left->exact && (!right || right->exact);

  // An exact result, or in expressions with variables what floating point makes of one that is too long.
  const auto exact_or = [&](const std::optional<Rational>& value, double otherwise) {
    if (value) return exact(value);
    return constant ? std::nullopt : inexact(otherwise);
  };
  const double a = left->approximate, b = right ? right->approximate : 0;
  switch (node.op) {
    case Op::negate: return both ? exact(left->exact->negated()) : inexact(-a);
    case Op::absolute: return both ? exact(left->exact->is_negative() ? left->exact->negated() : *left->exact) : inexact(std::fabs(a));
    case Op::add: return both ? exact_or(*left->exact + *right->exact, a + b) : inexact(a + b);
    case Op::subtract: return both ? exact_or(*left->exact + right->exact->negated(), a - b) : inexact(a - b);
    case Op::multiply: return both ? exact_or(*left->exact * *right->exact, a * b) : inexact(a * b);
    case Op::divide: {
      if (b == 0) return std::nullopt;
      const auto inverse = right->exact ? right->exact->reciprocal() : std::nullopt;
      return both && inverse ? exact_or(*left->exact * *inverse, a / b) : inexact(a / b);
    }
    case Op::factorial: {
      const auto n = both && left->exact->is_integer() ? left->exact->numerator().small() : std::nullopt;
      if (!n || *n < 0 || *n > kMaxFactorial) return std::nullopt;
      std::optional<Rational> product = Rational(1);
      for (std::int64_t i = 2; i <= *n && product; ++i) product = *product * Rational(i);
      return exact(product);
    }
    case Op::root: {
      const auto n = right->exact && right->exact->is_integer() ? right->exact->numerator().small() : std::nullopt;
      if (!n || *n < 2 || *n > kMaxExponent || (a < 0 && *n % 2 == 0)) return std::nullopt;
      if (left->exact)
        if (auto root = left->exact->exact_root(static_cast<int>(*n))) return exact(root);
      if (*n == 2) return inexact(std::sqrt(a));
      return inexact(std::copysign(std::pow(std::fabs(a), 1.0 / static_cast<double>(*n)), a));
    }
    case Op::power: {
      if (std::fabs(b) > kMaxExponent) return std::nullopt;
      if (!right->exact) return a > 0 ? inexact(std::pow(a, b)) : std::nullopt;
      const auto p = right->exact->numerator().small(), q = right->exact->denominator().small();
      if (!p || !q || *q > kMaxExponent || (a == 0 && *p <= 0)) return std::nullopt;
      if (*q > 1 && a < 0) return std::nullopt;
      if (left->exact) {
        const auto base = *q == 1 ? left->exact : left->exact->exact_root(static_cast<int>(*q));
        if (base) return exact_or(base->power(*p), std::pow(a, b));
      }
      return inexact(std::pow(a, b));
    }
    default: return std::nullopt;
  }
}

std::optional<bool> Expression::is_zero(std::span<const Rational> values, std::int64_t& steps) const {
  const Node& top = nodes_[static_cast<std::size_t>(root_)];
  const auto left = evaluate(top.left, values, steps), right = evaluate(top.right, values, steps);
  if (!left || !right) return std::nullopt;
  if (left->exact && right->exact) return *left->exact == *right->exact;
  const double a = left->approximate, b = right->approximate;
  return std::fabs(a - b) <= 1e-9 * std::max({1.0, std::fabs(a), std::fabs(b)});
}

bool Expression::literal(int index) const {
  const Node& node = nodes_[static_cast<std::size_t>(index)];
  switch (node.op) {
    case Op::number: return true;
    case Op::negate: return literal(node.left);
    case Op::divide: return literal(node.left) && literal(node.right);
    default: return false;
  }
}
bool Expression::is_literal() const { return literal(root_); }

bool Expression::is_decimal() const {
  int index = root_;
  while (nodes_[static_cast<std::size_t>(index)].op == Op::negate) index = nodes_[static_cast<std::size_t>(index)].left;
  return nodes_[static_cast<std::size_t>(index)].decimal;
}

bool Expression::rational_only(int index) const {
  const Node& node = nodes_[static_cast<std::size_t>(index)];
  switch (node.op) {
    case Op::number: return true;
    case Op::variable: case Op::pi: case Op::root: return false;
    default: return rational_only(node.left) && (node.right < 0 || rational_only(node.right));
  }
}

bool Expression::is_unevaluated() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Op op = nodes_[i].op;
    if (op != Op::add && op != Op::subtract && op != Op::multiply && op != Op::power && op != Op::factorial) continue;
    if (rational_only(static_cast<int>(i))) return true;
  }
  return false;
}

}  // namespace ponder::core
