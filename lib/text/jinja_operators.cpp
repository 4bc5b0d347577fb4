// Python's operators.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_interp.h"
#include "lib/text/jinja_text.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

bool Interp::truth(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::none: return false;
    case Kind::boolean: return value.as_boolean();
    case Kind::integer: return value.as_integer() != 0;
    case Kind::real: return value.as_real() != 0;
    case Kind::string: return !value.text().empty();
    case Kind::object: break;
  }
  if (const Sequence* sequence = value.as<Sequence>())
    return sequence->form == SequenceKind::iterator || !sequence->items.empty();
  if (const Dict* dict = value.as<Dict>()) return !dict->members.empty();
  if (const Range* range = value.as<Range>()) return range->size > 0;
  return true;
}

Result<bool> Interp::equal(const Value& a, const Value& b) {
  PONDER_TRY(use());
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
    return a.as_real() == b.as_real();
  }
  if (a.kind() != b.kind()) return false;
  if (a.is_string()) {
    if (a.text().size() == b.text().size()) PONDER_TRY(use_bytes(a.text().size()));
    return a.text() == b.text();
  }
  if (a.kind() != Kind::object) return true;  // none and none, undefined and undefined
  if (a.object() == b.object()) return true;
  const Level level(*this);
  PONDER_TRY(level.check());
  const Sequence *left = a.as<Sequence>(), *right = b.as<Sequence>();
  if (left && right && left->is_indexable() && left->form == right->form) {
    if (left->items.size() != right->items.size()) return false;
    for (std::size_t i = 0; i < left->items.size(); ++i) {
      PONDER_ASSIGN(const bool same, equal(left->items[i], right->items[i]));
      if (!same) return false;
    }
    return true;
  }
  const Dict *left_dict = a.as<Dict>(), *right_dict = b.as<Dict>();
  if (left_dict && right_dict) {
    if (left_dict->members.size() != right_dict->members.size()) return false;
    for (const auto& [key, value] : left_dict->members) {
      bool found = false;
      for (const auto& [other_key, other] : right_dict->members) {
        PONDER_ASSIGN(found, equal(key, other_key));
        if (!found) continue;
        PONDER_ASSIGN(found, equal(value, other));
        break;
      }
      if (!found) return false;
    }
    return true;
  }
  const Range *x = a.as<Range>(), *y = b.as<Range>();
  return x && y && x->size == y->size && (x->size == 0 || (x->start == y->start && (x->size == 1 || x->step == y->step)));
}

namespace {

template <class T>
bool holds(Op op, const T& a, const T& b) {
  switch (op) {
    case Op::lt: return a < b;
    case Op::le: return a <= b;
    case Op::gt: return a > b;
    default: return a >= b;
  }
}

const char* op_text(Op op) {
  static constexpr const char* kTexts[] = {"+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kTexts[static_cast<std::size_t>(op)];
}

}  // namespace

Result<bool> Interp::ordered(Op op, const Value& a, const Value& b) {
  PONDER_TRY(use());
  if (a.is_integral() && b.is_integral()) return holds(op, a.as_integer(), b.as_integer());
  if (a.is_number() && b.is_number()) return holds(op, a.as_real(), b.as_real());
  if (a.is_string() && b.is_string()) {  // UTF-8 sorts as code points do
    PONDER_TRY(use_bytes(std::min(a.text().size(), b.text().size())));
    return holds(op, a.text(), b.text());
  }
  if (a.is_undefined()) return error("{}", a.text());
  if (b.is_undefined()) return error("{}", b.text());
  const Sequence *left = a.as<Sequence>(), *right = b.as<Sequence>();
  if (left && right && left->is_indexable() && left->form == right->form) {
    const Level level(*this);
    PONDER_TRY(level.check());
    for (std::size_t i = 0; i < std::min(left->items.size(), right->items.size()); ++i) {
      PONDER_ASSIGN(const bool same, equal(left->items[i], right->items[i]));
      if (!same) return ordered(op, left->items[i], right->items[i]);
    }
    return holds(op, left->items.size(), right->items.size());
  }
  return error("'{}' does not compare {} and {}", op_text(op), type_name(a), type_name(b));
}

Result<bool> Interp::contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    if (item.is_undefined()) return error("{}", item.text());
    if (!item.is_string()) return error("'in' a str wants a str, found {}", type_name(item));
    PONDER_TRY(use_bytes(container.text().size() + item.text().size()));
    return find_text(container.text(), item.text()) != std::string::npos;
  }
  if (const Dict* dict = container.as<Dict>()) {
    PONDER_TRY(use_lookup(*dict, item.is_string() ? std::string_view(item.text()) : std::string_view()));
    if (item.is_string()) return dict->find(item.text()) != nullptr;
    for (const auto& [key, value] : dict->members) {
      PONDER_ASSIGN(const bool same, equal(key, item));
      if (same) return true;
    }
    return false;
  }
  PONDER_ASSIGN(const Values items, iterate(container));
  for (const Value& candidate : items) {
    PONDER_ASSIGN(const bool same, equal(candidate, item));
    if (same) return true;
  }
  return false;
}

Result<std::int64_t> Interp::length(const Value& value) {
  if (value.is_string()) return static_cast<std::int64_t>(value.str().length);
  if (value.is_undefined()) return std::int64_t{0};
  if (const Dict* dict = value.as<Dict>()) return static_cast<std::int64_t>(dict->members.size());
  if (const Range* range = value.as<Range>()) return range->size;
  if (const Sequence* sequence = value.as<Sequence>(); sequence && sequence->form != SequenceKind::iterator)
    return static_cast<std::int64_t>(sequence->items.size());
  if (LoopObject* loop = value.as<LoopObject>()) {
    PONDER_TRY(Status(loop_reaches(*loop, std::numeric_limits<std::size_t>::max()).status()));
    return static_cast<std::int64_t>((loop->stmt.exprs[1] ? loop->accepted : loop->source).size());
  }
  return error("a {} has no length", type_name(value));
}

Result<Values> Interp::iterate(const Value& value) {
  Values items;
  if (value.is_undefined()) return items;
  if (Sequence* sequence = value.as<Sequence>()) {
    PONDER_TRY(use(sequence->items.size() / 16));
    if (sequence->form == SequenceKind::iterator) return std::exchange(sequence->items, {});
    return sequence->items;
  }
  if (const Dict* dict = value.as<Dict>()) {
    PONDER_TRY(use(dict->members.size() / 16));
    for (const auto& [key, member] : dict->members) items.push_back(key);
    return items;
  }
  if (const Range* range = value.as<Range>()) {
    PONDER_TRY(use(static_cast<std::size_t>(range->size) / 16));
    for (std::int64_t i = 0; i < range->size; ++i) items.push_back(Value::integer(range->at(i)));
    return items;
  }
  if (value.is_string()) {
    const Str& text = value.str();
    PONDER_TRY(use(text.length));
    items.reserve(text.length);
    for (std::size_t i = 0; i < text.text.size();) {
      const std::size_t size = utf8::next(text.text, i).size;
      PONDER_ASSIGN(Value character, substring(text, i, i + size));
      items.push_back(std::move(character));
      i += size;
    }
    return items;
  }
  return error("a {} cannot be iterated", type_name(value));
}

namespace {

Result<Value> integer_arithmetic(const Interp& in, Op op, std::int64_t a, std::int64_t b) {
  const auto overflow = [&] { return in.error("{} {} {} does not fit into 64 bits", a, op_text(op), b); };
  std::int64_t result = 0;
  switch (op) {
    case Op::add:
      if (__builtin_add_overflow(a, b, &result)) return overflow();
      return Value::integer(result);
    case Op::sub:
      if (__builtin_sub_overflow(a, b, &result)) return overflow();
      return Value::integer(result);
    case Op::mul:
      if (__builtin_mul_overflow(a, b, &result)) return overflow();
      return Value::integer(result);
    case Op::div:
      if (b == 0) return in.error("division by zero");
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case Op::floordiv:
    case Op::mod: {
      if (b == 0) return in.error("division by zero");
      if (b == -1) return op == Op::mod ? Result<Value>(Value::integer(0)) : integer_arithmetic(in, Op::sub, 0, a);
      std::int64_t quotient = a / b, rest = a % b;
      if (rest != 0 && (rest < 0) != (b < 0)) --quotient, rest += b;
      return Value::integer(op == Op::mod ? rest : quotient);
    }
    default: break;
  }
  if (b < 0) {
    if (a == 0) return in.error("0 cannot be raised to a negative power");
    return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  result = 1;
  for (std::int64_t base = a, n = b; n > 0;) {
    if ((n & 1) && __builtin_mul_overflow(result, base, &result)) return overflow();
    n >>= 1;
    if (n > 0 && __builtin_mul_overflow(base, base, &base)) return overflow();
  }
  return Value::integer(result);
}

Result<Value> real_arithmetic(const Interp& in, Op op, double a, double b) {
  switch (op) {
    case Op::add: return Value::real(a + b);
    case Op::sub: return Value::real(a - b);
    case Op::mul: return Value::real(a * b);
    case Op::div:
      if (b == 0) return in.error("division by zero");
      return Value::real(a / b);
    case Op::floordiv:
    case Op::mod: {
      if (b == 0) return in.error("division by zero");
      double rest = std::fmod(a, b);
      double quotient = (a - rest) / b;
      if (rest != 0 ? (b < 0) != (rest < 0) : false) rest += b, quotient -= 1;
      if (op == Op::mod) return Value::real(rest == 0 ? std::copysign(0.0, b) : rest);
      if (quotient == 0) return Value::real(std::copysign(0.0, a / b));
      const double floor = std::floor(quotient);
      return Value::real(quotient - floor > 0.5 ? floor + 1 : floor);
    }
    default: break;
  }
  if (a == 0 && b < 0) return in.error("0 cannot be raised to a negative power");
  if (a < 0 && b != std::floor(b) && std::isfinite(b)) return in.error("{} ** {} is no real number", a, b);
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) return in.error("{} ** {} is too large", a, b);
  return Value::real(result);
}

}  // namespace

Result<Value> Interp::arithmetic(Op op, const Value& a, const Value& b) {
  PONDER_TRY(use());
  if (a.is_integral() && b.is_integral()) return integer_arithmetic(*this, op, a.as_integer(), b.as_integer());
  if (a.is_number() && b.is_number()) return real_arithmetic(*this, op, a.as_real(), b.as_real());
  if (op == Op::mod && a.is_string()) return format_percent(*this, a.str(), b);
  if (a.is_undefined()) return error("{}", a.text());
  if (b.is_undefined()) return error("{}", b.text());
  const Sequence *left = a.as<Sequence>(), *right = b.as<Sequence>();
  if (op == Op::add) {
    if (a.is_string() && b.is_string()) {
      TextBuilder text;
      PONDER_TRY(check_size(a.text().size() + b.text().size()));
      text.reserve(a.text().size() + b.text().size());
      text.append(a.str());
      text.append(b.str());
      return string(std::move(text));
    }
    if (left && right && left->is_indexable() && left->form == right->form) {
      Values items = left->items;
      items.insert(items.end(), right->items.begin(), right->items.end());
      return sequence(std::move(items), left->form);
    }
  }
  if (op == Op::mul && (a.is_integral() || b.is_integral())) {
    const Value& many = a.is_integral() ? b : a;
    const std::int64_t given = (a.is_integral() ? a : b).as_integer();
    const auto n = static_cast<std::size_t>(std::max<std::int64_t>(given, 0));
    if (many.is_string()) {
      const std::size_t size = many.text().size();
      if (size > 0 && n > limits_.max_output_bytes / size) return check_size(limits_.max_output_bytes + 1);
      TextBuilder text;
      if (many.str().taint.empty()) {
        std::string& out = text.text();
        out.reserve(size * n);
        if (size > 0 && n > 0) out = many.text();
        while (out.size() < size * n) out.append(out, 0, std::min(out.size(), size * n - out.size()));
      } else {
        for (std::size_t i = 0; i < n; ++i) text.append(many.str());
      }
      return string(std::move(text));
    }
    if (const Sequence* sequence = many.as<Sequence>(); sequence && sequence->is_indexable()) {
      const std::size_t size = sequence->items.size();
      if (size > 0 && n > limits_.max_steps / size) return use(limits_.max_steps + 1);
      Values items;
      for (std::size_t i = 0; size > 0 && i < n; ++i) items.insert(items.end(), sequence->items.begin(), sequence->items.end());
      return this->sequence(std::move(items), sequence->form);
    }
  }
  return error("'{}' does not take {} and {}", op_text(op), type_name(a), type_name(b));
}

// Merge sort by `keys`, as Python sorts: stable, also when reversed, and with '<' alone.
Result<Values> Interp::sorted(Values items, const Values& keys, bool reverse) {
  std::vector<std::size_t> order(items.size()), merged(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t width = 1; width < order.size(); width *= 2) {
    for (std::size_t begin = 0; begin < order.size(); begin += 2 * width) {
      const std::size_t middle = std::min(begin + width, order.size()), end = std::min(begin + 2 * width, order.size());
      std::size_t left = begin, right = middle;
      for (std::size_t out = begin; out < end; ++out) {
        bool take_right = left == middle;
        if (left < middle && right < end) {
          const Value &l = keys[order[left]], &r = keys[order[right]];
          PONDER_ASSIGN(take_right, reverse ? ordered(Op::lt, l, r) : ordered(Op::lt, r, l));
        }
        merged[out] = order[take_right ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  Values result;
  result.reserve(items.size());
  for (const std::size_t i : order) result.push_back(std::move(items[i]));
  return result;
}

}  // namespace ponder::core::jinja
