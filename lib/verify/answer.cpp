#include "lib/verify/answer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/verify/answer_structure.h"
#include "lib/verify/expression.h"

namespace ponder::core {
namespace {

constexpr std::int64_t kMaxSteps = 200'000;  // nodes of expressions computed for one comparison
constexpr int kMaxNesting = 8;               // lists within lists

// One comparison. Every function takes the prediction first.
class Comparison {
 public:
  explicit Comparison(AnswerOptions options) : options_(options) {}

  bool equal(std::string_view prediction, std::string_view reference, int depth = 0) {
    prediction = trimmed(prediction), reference = trimmed(reference);
    if (prediction.empty() || reference.empty() || depth > kMaxNesting) return false;
    if (without_spaces(prediction) == without_spaces(reference)) return true;
    if (is_choice(reference)) return chosen(prediction) == reference[0];
    const Definition p = definition(prediction), r = definition(reference);
    if (!p.name.empty() && !r.name.empty() && p.name != r.name) return false;
    if (equal_values(p.value, r.value, depth)) return true;
    return equal_equations(prediction, reference);
  }

 private:
  // Lists, pairs, matrices; else one value.
  bool equal_values(std::string_view prediction, std::string_view reference, int depth) {
    const Structure p = structure_of(prediction), r = structure_of(reference);
    if (p.kind == Structure::Kind::single && r.kind == Structure::Kind::single) return equal_single(prediction, reference);
    const auto one = [](const Structure& s) { return s.kind == Structure::Kind::set && s.items.size() == 1; };
    if (one(p) && r.kind == Structure::Kind::single) return equal(p.items[0], reference, depth + 1);
    if (one(r) && p.kind == Structure::Kind::single) return equal(prediction, r.items[0], depth + 1);
    if (p.kind != r.kind || p.brackets != r.brackets || p.items.empty() || r.items.empty()) return false;
    if (p.kind == Structure::Kind::set) return equal_sets(p.items, r.items, depth);
    if (p.items.size() != r.items.size() || p.n_columns != r.n_columns) return false;
    for (std::size_t i = 0; i < p.items.size(); ++i)
      if (!equal(p.items[i], r.items[i], depth + 1)) return false;
    return true;
  }

  bool equal_sets(const std::vector<std::string>& prediction, const std::vector<std::string>& reference, int depth) {
    if (prediction.size() > reference.size()) return false;  // no hedging
    std::vector<bool> met(reference.size(), false);
    for (const std::string& item : prediction) {
      bool found = false;
      for (std::size_t i = 0; i < reference.size(); ++i)
        if (equal(item, reference[i], depth + 1)) found = true, met[i] = true;
      if (!found) return false;
    }
    return std::find(met.begin(), met.end(), false) == met.end();
  }

  bool equal_single(std::string_view prediction, std::string_view reference) {
    const auto p = quantity(prediction), r = quantity(reference);
    if (!r) return equal_text(prediction, reference);
    if (!p) return equal_text(prediction, reference);
    if (!p->unit.empty() && !r->unit.empty() && p->unit != r->unit) return false;
    const auto& names_p = p->number.variables();
    const auto& names_r = r->number.variables();
    if (names_p.size() != names_r.size() || !std::is_permutation(names_p.begin(), names_p.end(), names_r.begin()))
      return equal_text(prediction, reference);
    if (!names_r.empty()) {
      if (is_word(prediction) && is_word(reference)) return equal_text(prediction, reference);
      return p->percent == r->percent && vanishes({Expression::difference(p->number, r->number)});
    }
    if (!options_.allow_unevaluated && r->number.is_literal() && p->number.is_unevaluated()) return false;
    const Rational hundredth = *Rational(100).reciprocal();
    if (p->percent == r->percent) return equal_numbers(*p, *r, Rational(1), Rational(1));
    return equal_numbers(*p, *r, Rational(1), Rational(1)) ||
           equal_numbers(*p, *r, p->percent ? hundredth : Rational(1), r->percent ? hundredth : Rational(1));
  }

  struct Quantity {
    Expression number;
    bool percent = false;
    std::string unit;
  };

  std::optional<Quantity> quantity(std::string_view text) {
    Quantity q;
    const UnitSplit split = split_unit(text);
    q.unit = split.unit;
    text = split.number;
    if (!text.empty() && text.back() == '%') q.percent = true, text = trimmed(text.substr(0, text.size() - 1));
    auto number = Expression::parse(text);
    if (!number) return std::nullopt;
    q.number = std::move(*number);
    return q;
  }

  bool equal_numbers(const Quantity& prediction, const Quantity& reference, const Rational& scale_p, const Rational& scale_r) {
    const auto p = scaled(prediction.number.evaluate({}, steps_), scale_p);
    const auto r = scaled(reference.number.evaluate({}, steps_), scale_r);
    if (!p || !r) return false;
    const double a = p->approximate, b = r->approximate, difference = std::fabs(a - b);
    const auto inexact = [](const Number& n) { return !n.exact || !n.exact->terminates(); };
    if ((prediction.number.is_decimal() && inexact(*r)) || (reference.number.is_decimal() && inexact(*p)))
      return difference <= 1e-6 * std::max(1.0, std::fabs(b));
    if (p->exact && r->exact) return *p->exact == *r->exact;
    return difference <= 1e-9 * std::max(std::fabs(a), std::fabs(b));
  }

  static std::optional<Number> scaled(std::optional<Number> number, const Rational& scale) {
    if (!number) return number;
    if (number->exact) {
      number->exact = *number->exact * scale;
      if (!number->exact) return std::nullopt;
    }
    number->approximate *= scale.to_double();
    return number;
  }

  // The values of variables at one of the fixed points: small fractions, positive at every second point.
  static std::vector<Rational> point(std::size_t n_variables, std::uint64_t index) {
    std::vector<Rational> values;
    for (std::size_t i = 0; i < n_variables; ++i) {
      std::uint64_t z = (index * 64 + i + 1) * 0x9e3779b97f4a7c15u;  // splitmix64
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      z ^= z >> 31;
      const auto numerator = static_cast<std::int64_t>(1 + z % 23), denominator = static_cast<std::int64_t>(1 + (z >> 20) % 7);
      const bool negative = index % 2 == 1 && ((z >> 40) & 1) != 0;
      values.push_back(*Rational::make(negative ? -numerator : numerator, denominator));
    }
    return values;
  }

  // Whether one of the expressions is zero wherever it is defined.
  bool vanishes(const std::vector<Expression>& candidates) {
    return std::any_of(candidates.begin(), candidates.end(), [&](const Expression& e) { return zero_everywhere(e); });
  }
  bool zero_everywhere(const Expression& difference) {
    constexpr std::uint64_t n_points = 24;
    constexpr int min_defined = 6;
    int n_defined = 0;
    for (std::uint64_t i = 0; i < n_points; ++i) {
      const auto zero = difference.is_zero(point(difference.variables().size(), i), steps_);
      if (!zero) continue;
      if (!*zero) return false;
      ++n_defined;
    }
    return n_defined >= min_defined;
  }

  bool equal_equations(std::string_view prediction, std::string_view reference) {
    const auto p = sides(prediction), r = sides(reference);
    if (!p || !r) return false;
    const auto same_names = [](const Expression& a, const Expression& b) {
      return a.variables().size() == b.variables().size() &&
             std::is_permutation(a.variables().begin(), a.variables().end(), b.variables().begin());
    };
    const Expression d1 = Expression::difference(p->first, p->second), d2 = Expression::difference(r->first, r->second);
    if (d2.variables().empty() || !same_names(d1, d2)) return false;
    const Expression swapped = Expression::difference(p->second, p->first);
    return vanishes({Expression::difference(d1, d2), Expression::difference(swapped, d2)});
  }

  static std::optional<std::pair<Expression, Expression>> sides(std::string_view text) {
    const std::size_t at = text.find('=');
    if (at == std::string_view::npos || text.find('=', at + 1) != std::string_view::npos) return std::nullopt;
    auto left = Expression::parse(text.substr(0, at)), right = Expression::parse(text.substr(at + 1));
    if (!left || !right) return std::nullopt;
    return std::pair(std::move(*left), std::move(*right));
  }

  static bool is_word(std::string_view text) {
    return text.size() > 1 && std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || c == ' '; });
  }

  // Words: letters, digits and mathematical signs, lower case.
  static bool equal_text(std::string_view prediction, std::string_view reference) {
    const std::string p = bare_text(prediction);
    return !p.empty() && p == bare_text(reference);
  }

  AnswerOptions options_;
  std::int64_t steps_ = kMaxSteps;
};

}  // namespace

bool answers_equal(std::string_view prediction, std::string_view reference, AnswerOptions options) {
  if (prediction.size() > kMaxAnswerBytes || reference.size() > kMaxAnswerBytes) return false;
  const std::string p = normalized_math(prediction), r = normalized_math(reference);
  return Comparison(options).equal(p, r);
}

bool completion_answers(std::string_view completion, bool thinking_open, std::string_view reference, AnswerPlace place,
                        AnswerOptions options) {
  const auto part = answer_part(completion, thinking_open);
  if (!part) return false;
  const auto answer = extract_answer(*part, place);
  return answer && answers_equal(*answer, reference, options);
}

}  // namespace ponder::core
