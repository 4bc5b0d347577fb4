// Expressions.
#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_interp.h"

namespace ponder::core::jinja {

Result<Value> Interp::eval(const Expr& expr) {
  const Level level(*this);
  PONDER_TRY(level.check());
  PONDER_TRY(use());
  line_ = expr.line;
  switch (expr.kind) {
    case ExprKind::constant: return expr.value;
    case ExprKind::name: return eval_name(expr);
    case ExprKind::list:
    case ExprKind::tuple: return eval_sequence(expr);
    case ExprKind::dict: return eval_dict(expr);
    case ExprKind::attribute:
    case ExprKind::item: return eval_item(expr);
    case ExprKind::slice: return error("a slice stands outside of []");
    case ExprKind::call: return eval_call(expr);
    case ExprKind::filter: return eval_filter(expr);
    case ExprKind::test: return eval_test(expr);
    case ExprKind::logical_not: {
      PONDER_ASSIGN(const Value value, eval(*expr.items[0]));
      return Value::boolean(!truth(value));
    }
    case ExprKind::negative:
    case ExprKind::positive: return eval_sign(expr);
    case ExprKind::arithmetic: return eval_arithmetic(expr);
    case ExprKind::compare: return eval_compare(expr);
    case ExprKind::logical_and:
    case ExprKind::logical_or: return eval_logical(expr);
    case ExprKind::concat: return eval_concat(expr);
    case ExprKind::conditional: return eval_conditional(expr);
  }
  return error("unknown expression");
}

Result<Value> Interp::eval_optional(const ExprPtr& expr) {
  if (!expr) return Value();
  return eval(*expr);
}

Result<Value> Interp::eval_name(const Expr& expr) {
  PONDER_ASSIGN(const Value* found, find_name(expr.text));
  if (found) return *found;
  return undefined(formatted("'{}' is undefined", expr.text));
}

Result<Value> Interp::eval_sequence(const Expr& expr) {
  Values items;
  items.reserve(expr.items.size());
  for (const ExprPtr& item : expr.items) {
    PONDER_ASSIGN(Value value, eval(*item));
    items.push_back(std::move(value));
  }
  return sequence(std::move(items), expr.kind == ExprKind::list ? SequenceKind::list : SequenceKind::tuple);
}

Result<Value> Interp::eval_dict(const Expr& expr) {
  PONDER_ASSIGN(Dict * dict, make<Dict>());
  for (std::size_t i = 0; i < expr.items.size(); i += 2) {
    PONDER_ASSIGN(Value key, eval(*expr.items[i]));
    PONDER_ASSIGN(Value value, eval(*expr.items[i + 1]));
    const Sequence* sequence = key.as<Sequence>();
    if (key.as<Dict>() || (sequence && sequence->form == SequenceKind::list))
      return error("a {} cannot be a key of a dict", type_name(key));
    PONDER_TRY(add_member(*dict, std::move(key), std::move(value)));
  }
  return Value::object(dict);
}

Result<Value> Interp::eval_item(const Expr& expr) {
  PONDER_ASSIGN(const Value base, eval(*expr.items[0]));
  if (expr.kind == ExprKind::attribute) {
    line_ = expr.line;
    return attribute(base, expr.text);
  }
  const Expr& index = *expr.items[1];
  if (index.kind == ExprKind::slice) {
    PONDER_ASSIGN(const Value start, eval_optional(index.items[0]));
    PONDER_ASSIGN(const Value stop, eval_optional(index.items[1]));
    PONDER_ASSIGN(const Value step, eval_optional(index.items[2]));
    line_ = expr.line;
    return slice(base, start, stop, step);
  }
  PONDER_ASSIGN(const Value at, eval(index));
  line_ = expr.line;
  return item(base, at);
}

Result<CallArgs> Interp::eval_arguments(const Arguments& arguments) {
  CallArgs args;
  args.positional.reserve(arguments.positional.size());
  for (const ExprPtr& expr : arguments.positional) {
    PONDER_ASSIGN(Value value, eval(*expr));
    args.positional.push_back(std::move(value));
  }
  for (const auto& [name, expr] : arguments.named) {
    PONDER_ASSIGN(Value value, eval(*expr));
    args.named.emplace_back(name, std::move(value));
  }
  if (arguments.star) {
    PONDER_ASSIGN(const Value value, eval(*arguments.star));
    PONDER_ASSIGN(Values items, iterate(value));
    for (Value& item : items) args.positional.push_back(std::move(item));
  }
  if (arguments.star_star) {
    PONDER_ASSIGN(const Value value, eval(*arguments.star_star));
    const Dict* dict = value.as<Dict>();
    if (!dict) return error("'**' wants a dict, found {}", type_name(value));
    for (const auto& [key, member] : dict->members) {
      if (!key.is_string()) return error("'**' wants strings as keys, found {}", type_name(key));
      for (const auto& [name, other] : args.named)
        if (name == key.text()) return error("the argument '{}' is given twice", name);
      PONDER_TRY(use(1 + args.named.size() / 8));
      args.named.emplace_back(key.text(), member);
    }
  }
  return args;
}

// `caller` is that of a call block around, or missing.
Result<Value> Interp::eval_call(const Expr& expr, const Value& caller) {
  const Expr& target = *expr.items[0];
  Value callee, self;
  const NativeFunction* native = nullptr;
  if (target.kind == ExprKind::attribute) {  // a method: no need to make an object of it
    PONDER_ASSIGN(self, eval(*target.items[0]));
    line_ = target.line;
    native = method(self, target.text);
    if (!native) {
      PONDER_ASSIGN(callee, attribute(self, target.text));
    }
  } else {
    PONDER_ASSIGN(callee, eval(target));
  }
  PONDER_ASSIGN(const CallArgs args, eval_arguments(expr.arguments));
  line_ = expr.line;
  if (native) return call_native(*native, self, args);
  if (const MacroObject* macro = callee.as<MacroObject>()) return call_macro(*macro, args, caller);
  if (!caller.is_missing()) return error("'call' wants a macro, found {}", type_name(callee));
  return call(callee, args);
}

Result<Value> Interp::call_native(const NativeFunction& function, const Value& self, const CallArgs& args) {
  PONDER_TRY(use_texts(self, args));
  return function.run(*this, self, args);
}

Result<Value> Interp::call(const Value& callee, const CallArgs& args) {
  if (const MacroObject* macro = callee.as<MacroObject>()) return call_macro(*macro, args);
  if (const MethodObject* bound = callee.as<MethodObject>()) return call_native(bound->function, bound->self, args);
  if (Joiner* joiner = callee.as<Joiner>()) {
    if (std::exchange(joiner->used, true)) return joiner->separator;
    return string(std::string());
  }
  if (callee.is_undefined()) return error("{}", callee.text());
  return error("a {} cannot be called", type_name(callee));
}

Result<Value> Interp::eval_filter(const Expr& expr, const Value* block) {
  Value value;
  if (!expr.items.empty() && expr.items[0] && block && expr.items[0]->kind == ExprKind::filter) {
    PONDER_ASSIGN(value, eval_filter(*expr.items[0], block));  // a chain that ends in the block
  } else if (!expr.items.empty() && expr.items[0]) {
    PONDER_ASSIGN(value, eval(*expr.items[0]));
  } else if (block) {
    value = *block;
  }
  PONDER_ASSIGN(const CallArgs args, eval_arguments(expr.arguments));
  line_ = expr.line;
  return filter(expr.text, value, args);
}

Result<Value> Interp::filter(std::string_view name, const Value& value, const CallArgs& args) {
  const Level level(*this);
  PONDER_TRY(level.check());
  PONDER_TRY(use());
  PONDER_TRY(use_texts(value, args));
  if (const Filter* found = find_filter(name)) return found->run(*this, value, args);
  return error("there is no filter '{}'", name);
}

Result<Value> Interp::eval_test(const Expr& expr) {
  PONDER_ASSIGN(const Value value, eval(*expr.items[0]));
  PONDER_ASSIGN(const CallArgs args, eval_arguments(expr.arguments));
  line_ = expr.line;
  PONDER_ASSIGN(const bool result, predicate(expr.text, value, args));
  return Value::boolean(result);
}

Result<bool> Interp::predicate(std::string_view name, const Value& value, const CallArgs& args) {
  PONDER_TRY(use());
  PONDER_TRY(use_texts(value, args));
  if (const Predicate* found = find_predicate(name)) return found->run(*this, value, args);
  return error("there is no test '{}'", name);
}

Result<Value> Interp::eval_sign(const Expr& expr) {
  PONDER_ASSIGN(const Value value, eval(*expr.items[0]));
  line_ = expr.line;
  if (value.is_undefined()) return error("{}", value.text());
  if (!value.is_number()) return error("a {} has no sign", type_name(value));
  if (expr.kind == ExprKind::negative) return arithmetic(Op::sub, value.is_real() ? Value::real(-0.0) : Value::integer(0), value);
  return value.is_real() ? value : Value::integer(value.as_integer());
}

Result<Value> Interp::eval_arithmetic(const Expr& expr) {
  PONDER_ASSIGN(Value value, eval(*expr.items[0]));
  for (std::size_t i = 0; i < expr.ops.size(); ++i) {
    PONDER_ASSIGN(const Value operand, eval(*expr.items[i + 1]));
    line_ = expr.line;
    PONDER_ASSIGN(value, arithmetic(expr.ops[i], value, operand));
  }
  return value;
}

Result<bool> Interp::compare(Op op, const Value& a, const Value& b) {
  switch (op) {
    case Op::eq: return equal(a, b);
    case Op::in: return contains(b, a);
    case Op::ne: {
      PONDER_ASSIGN(const bool same, equal(a, b));
      return !same;
    }
    case Op::not_in: {
      PONDER_ASSIGN(const bool found, contains(b, a));
      return !found;
    }
    default: return ordered(op, a, b);
  }
}

Result<Value> Interp::eval_compare(const Expr& expr) {
  PONDER_ASSIGN(Value left, eval(*expr.items[0]));
  for (std::size_t i = 0; i < expr.ops.size(); ++i) {
    PONDER_ASSIGN(Value right, eval(*expr.items[i + 1]));
    line_ = expr.line;
    PONDER_ASSIGN(const bool holds, compare(expr.ops[i], left, right));
    if (!holds) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Result<Value> Interp::eval_logical(const Expr& expr) {
  const bool stop_at = expr.kind == ExprKind::logical_or;
  Value value;
  for (const ExprPtr& item : expr.items) {
    PONDER_ASSIGN(value, eval(*item));
    if (truth(value) == stop_at) break;
  }
  return value;
}

Result<Value> Interp::eval_concat(const Expr& expr) {
  TextBuilder text;
  for (const ExprPtr& item : expr.items) {
    PONDER_ASSIGN(const Value value, eval(*item));
    PONDER_TRY(print(text, value));
    PONDER_TRY(check_size(text.size()));
  }
  return string(std::move(text));
}

Result<Value> Interp::eval_conditional(const Expr& expr) {
  PONDER_ASSIGN(const Value condition, eval(*expr.items[0]));
  if (truth(condition)) return eval(*expr.items[1]);
  if (expr.items[2]) return eval(*expr.items[2]);
  return undefined("the inline if evaluated to false and has no else");
}

}  // namespace ponder::core::jinja
