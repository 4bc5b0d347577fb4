// What can stand behind "is".
#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_parse.h"
#include "lib/text/jinja_unicode.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

// A test without arguments.
template <bool (*holds)(const Value&)>
Result<bool> plain(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("this test", args, {}).status()));
  return holds(value);
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is_none(); }
bool is_boolean(const Value& v) { return v.is_boolean(); }
bool is_true(const Value& v) { return v.is_boolean() && v.as_boolean(); }
bool is_false(const Value& v) { return v.is_boolean() && !v.as_boolean(); }
bool is_integer(const Value& v) { return v.is_integer(); }
bool is_float(const Value& v) { return v.is_real(); }
bool is_number(const Value& v) { return v.is_number(); }
bool is_string(const Value& v) { return v.is_string(); }
bool is_mapping(const Value& v) { return v.as<Dict>() != nullptr; }
bool is_escaped(const Value&) { return false; }
bool is_sequence(const Value& v) {
  const Sequence* sequence = v.as<Sequence>();
  return v.is_string() || v.is_undefined() || v.as<Dict>() || v.as<Range>() || (sequence && sequence->is_indexable());
}
bool is_iterable(const Value& v) {
  return v.is_string() || v.is_undefined() || v.as<Dict>() || v.as<Range>() || v.as<Sequence>() || v.as<LoopObject>();
}
bool is_callable(const Value& v) {
  return v.is_undefined() || v.as<MacroObject>() || v.as<MethodObject>() || v.as<Joiner>() || v.as<LoopObject>();
}

template <bool wants_upper>
Result<bool> case_test(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("this test", args, {}).status()));
  PONDER_ASSIGN(const Value text, in.to_str(value));
  PONDER_TRY(in.use_bytes(text.text().size()));
  bool any = false;
  for (std::size_t i = 0; i < text.text().size();) {
    const utf8::Char c = utf8::next(text.text(), i);
    if (c.valid && (wants_upper ? is_lower(c.code) : is_upper(c.code))) return false;
    any = any || (c.valid && is_cased(c.code));
    i += c.size;
  }
  return any;
}

Result<bool> divisible(Interp& in, const Value& value, const Value& by) {
  PONDER_ASSIGN(const Value rest, in.arithmetic(Op::mod, value, by));
  return rest.is_number() && rest.as_real() == 0;
}

Result<bool> odd(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("odd", args, {}).status()));
  PONDER_ASSIGN(const Value rest, in.arithmetic(Op::mod, value, Value::integer(2)));
  return rest.is_number() && rest.as_real() == 1;
}

Result<bool> even(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("even", args, {}).status()));
  return divisible(in, value, Value::integer(2));
}

Result<bool> divisibleby(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("divisibleby", args, {"num"}, 1));
  return divisible(in, value, bound[0]);
}

Result<bool> equals(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("eq", args, {"other"}, 1));
  return in.equal(value, bound[0]);
}

Result<bool> differs(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("ne", args, {"other"}, 1));
  PONDER_ASSIGN(const bool same, in.equal(value, bound[0]));
  return !same;
}

template <Op op>
Result<bool> ordered(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("this comparison", args, {"other"}, 1));
  return in.ordered(op, value, bound[0]);
}

Result<bool> is_in(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("in", args, {"seq"}, 1));
  return in.contains(bound[0], value);
}

// Identity: the same object; for plain values the same type and value, as CPython's small constants behave.
Result<bool> sameas(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("sameas", args, {"other"}, 1));
  if (value.kind() != bound[0].kind()) return false;
  if (value.kind() == Kind::object) return value.object() == bound[0].object();
  return in.equal(value, bound[0]);
}

Result<bool> is_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("filter", args, {}).status()));
  return value.is_string() && has_filter(value.text());
}

Result<bool> is_test(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("test", args, {}).status()));
  return value.is_string() && has_predicate(value.text());
}

constexpr Predicate kPredicates[] = {
    {"defined", plain<is_defined>},
    {"undefined", plain<is_undefined>},
    {"none", plain<is_none>},
    {"boolean", plain<is_boolean>},
    {"true", plain<is_true>},
    {"false", plain<is_false>},
    {"integer", plain<is_integer>},
    {"float", plain<is_float>},
    {"number", plain<is_number>},
    {"string", plain<is_string>},
    {"mapping", plain<is_mapping>},
    {"sequence", plain<is_sequence>},
    {"iterable", plain<is_iterable>},
    {"callable", plain<is_callable>},
    {"escaped", plain<is_escaped>},
    {"lower", case_test<false>},
    {"upper", case_test<true>},
    {"odd", odd},
    {"even", even},
    {"divisibleby", divisibleby},
    {"sameas", sameas},
    {"in", is_in},
    {"filter", is_filter},
    {"test", is_test},
    {"eq", equals},
    {"equalto", equals},
    {"==", equals},
    {"ne", differs},
    {"!=", differs},
    {"lt", ordered<Op::lt>},
    {"lessthan", ordered<Op::lt>},
    {"<", ordered<Op::lt>},
    {"le", ordered<Op::le>},
    {"<=", ordered<Op::le>},
    {"gt", ordered<Op::gt>},
    {"greaterthan", ordered<Op::gt>},
    {">", ordered<Op::gt>},
    {"ge", ordered<Op::ge>},
    {">=", ordered<Op::ge>},
};

}  // namespace

const Predicate* find_predicate(std::string_view name) {
  for (const Predicate& predicate : kPredicates)
    if (predicate.name == name) return &predicate;
  return nullptr;
}

bool has_predicate(std::string_view name) { return find_predicate(name) != nullptr; }

}  // namespace ponder::core::jinja
