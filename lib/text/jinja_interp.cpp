// Statements, scopes and the budget.
#include "lib/text/jinja_interp.h"

#include <algorithm>

#include "lib/text/jinja_functions.h"

namespace ponder::core::jinja {

const Value* Scope::find(std::string_view name, std::size_t& n_walked) const {
  for (const Scope* scope = this; scope; scope = scope->parent) {
    n_walked += scope->names.size();
    for (const auto& [key, value] : scope->names)
      if (key == name) return &value;
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [key, old] : names)
    if (key == name) {
      old = std::move(value);
      return;
    }
  names.emplace_back(name, std::move(value));
}

Status Interp::use(std::size_t n_steps) {
  n_steps_ += n_steps;
  if (n_steps_ <= limits_.max_steps) return {};
  return error("the template takes more than {} steps (max_steps)", limits_.max_steps);
}

Status Interp::use_texts(const Value& subject, const CallArgs& args) {
  std::size_t n_bytes = subject.is_string() ? subject.text().size() : 0;
  for (const Value& value : args.positional) n_bytes += value.is_string() ? value.text().size() : 0;
  for (const auto& [name, value] : args.named) n_bytes += value.is_string() ? value.text().size() : 0;
  return use_bytes(n_bytes);
}

Result<const Value*> Interp::find_name(std::string_view name) {
  std::size_t n_walked = 0;
  const Value* found = scope_->find(name, n_walked);
  PONDER_TRY(use(n_walked / 64));
  return found;
}

Status Interp::check_size(std::size_t n_bytes) const {
  if (n_bytes <= limits_.max_output_bytes) return {};
  return error("the template makes more than {} bytes of text (max_output_bytes)", limits_.max_output_bytes);
}

Status Interp::check_memory() const {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  if (charge_ && memory_.bytes > kStep) PONDER_TRY(charge_->raise_to((memory_.bytes + kStep - 1) / kStep * kStep));
  if (memory_.bytes <= limits_.max_memory_bytes) return {};
  return error("the template's values need more than {} bytes (max_memory_bytes)", limits_.max_memory_bytes);
}

Status Interp::Level::check() const {
  if (in_.depth_ <= in_.limits_.max_depth) return {};
  return in_.error("nested deeper than {} (max_depth)", in_.limits_.max_depth);
}

Result<Value> Interp::string(TextBuilder&& text) {
  PONDER_TRY(check_size(text.size()));
  PONDER_TRY(use_bytes(text.size()));
  Value value = Value::string(std::make_shared<const Str>(std::move(text.text()), std::move(text.taint()), &memory_));
  PONDER_TRY(check_memory());
  return value;
}

Result<Value> Interp::string(std::string text, bool tainted) {
  TextBuilder builder;
  builder.append(text, tainted);
  return string(std::move(builder));
}

Result<Value> Interp::substring(const Str& text, std::size_t begin, std::size_t end) {
  TextBuilder builder;
  builder.append(text, begin, end);
  return string(std::move(builder));
}

Result<Value> Interp::sequence(Values items, SequenceKind form) {
  PONDER_TRY(use(items.size() / 16));
  memory_.bytes += items.size() * sizeof(Value);
  PONDER_ASSIGN(Sequence* made, make<Sequence>(form, std::move(items)));
  return Value::object(made);
}

Value Interp::undefined(std::string why) const {
  return Value::undefined(std::make_shared<const Str>(std::move(why), std::vector<TextSpan>(), nullptr));
}

Status Interp::add_member(Dict& dict, Value key, Value value) {
  PONDER_TRY(use(1 + dict.members.size() / 8));
  for (auto& [name, old] : dict.members) {
    PONDER_ASSIGN(const bool same, equal(name, key));
    if (!same) continue;
    old = std::move(value);
    return {};
  }
  dict.members.emplace_back(std::move(key), std::move(value));
  memory_.bytes += 2 * sizeof(Value);
  return check_memory();
}

Result<Value> Interp::from_json(const Json& json) {
  const Level level(*this);
  PONDER_TRY(level.check());
  if (json.is_null()) return Value::none();
  if (json.is_bool()) return Value::boolean(json.as_bool());
  if (json.is_int()) return Value::integer(json.as_int());
  if (json.is_double()) return Value::real(json.as_double());
  if (json.is_string()) return string(json.as_string(), true);
  if (json.is_array()) {
    Values items;
    items.reserve(json.as_array().size());
    for (const Json& element : json.as_array()) {
      PONDER_ASSIGN(Value item, from_json(element));
      items.push_back(std::move(item));
    }
    return sequence(std::move(items));
  }
  PONDER_ASSIGN(Dict* dict, make<Dict>());
  for (const auto& [name, member] : json.as_object()) {
    PONDER_ASSIGN(Value key, string(name, true));
    PONDER_ASSIGN(Value value, from_json(member));
    dict->members.emplace_back(std::move(key), std::move(value));
    memory_.bytes += 2 * sizeof(Value);
  }
  PONDER_TRY(check_memory());
  return Value::object(dict);
}

Result<RenderedChat> Interp::run(const Block& block, const ChatInput& input) {
  TextBuilder out;
  out_ = &out;
  charge_ = input.memory;
  scope_ = open_scope(nullptr);
  PONDER_TRY(define_globals(input));
  Flow flow = Flow::next;
  PONDER_TRY(exec(block, flow));
  return RenderedChat{std::move(out.text()), std::move(out.taint())};
}

// What transformers gives a template: tools and documents are none when there are none; special tokens that the
// tokenizer lacks are undefined.
Status Interp::define_globals(const ChatInput& input) {
  for (const NativeFunction& function : global_functions()) {
    PONDER_ASSIGN(MethodObject * object, make<MethodObject>(Value(), function));
    scope_->set(function.name, Value::object(object));
  }
  scope_ = open_scope(scope_);
  PONDER_ASSIGN(Value messages, from_json(input.messages));
  PONDER_ASSIGN(Value tools, from_json(input.tools));
  scope_->set("documents", Value::none());
  for (const auto& [name, text] : {std::pair("bos_token", &input.bos_token), std::pair("eos_token", &input.eos_token)}) {
    if (text->empty()) continue;
    PONDER_ASSIGN(Value token, string(*text));
    scope_->set(name, std::move(token));
  }
  if (!input.kwargs.is_null()) {
    if (!input.kwargs.is_object())
      return fail(Code::bad_template, "kwargs: {}, want an object of template variables", input.kwargs.type_name());
    for (const auto& [name, json] : input.kwargs.as_object()) {
      if (name == "messages" || name == "tools" || name == "add_generation_prompt")
        return fail(Code::bad_template, "kwargs: '{}' is given by the call itself", name);
      PONDER_ASSIGN(Value value, from_json(json));
      scope_->set(name, std::move(value));
    }
  }
  scope_->set("messages", std::move(messages));
  scope_->set("tools", std::move(tools));
  scope_->set("add_generation_prompt", Value::boolean(input.add_generation_prompt));
  scope_ = open_scope(scope_);
  return {};
}

Scope* Interp::open_scope(Scope* parent) {
  Scope* scope = nullptr;
  if (free_scopes_.empty()) {
    scopes_.push_back(std::make_unique<Scope>());
    memory_.bytes += sizeof(Scope) + 128;
    scope = scopes_.back().get();
  } else {
    scope = free_scopes_.back();
    free_scopes_.pop_back();
  }
  scope->parent = parent;
  return scope;
}

// A scope that a macro looks into is kept as it is.
void Interp::close_scope(Scope* scope) {
  scope_ = scope->parent;
  if (scope->is_captured) return;
  scope->names.clear();
  free_scopes_.push_back(scope);
}

Status Interp::exec(const Block& block, Flow& flow) {
  const Level level(*this);
  PONDER_TRY(level.check());
  for (const auto& stmt : block) {
    line_ = stmt->line;
    PONDER_TRY(use());
    PONDER_TRY(exec_one(*stmt, flow));
    if (flow != Flow::next) break;
  }
  return {};
}

Status Interp::exec_one(const Stmt& stmt, Flow& flow) {
  switch (stmt.kind) {
    case StmtKind::text: return write(stmt.value);
    case StmtKind::output: {
      PONDER_ASSIGN(const Value value, eval(*stmt.exprs[0]));
      return write(value);
    }
    case StmtKind::branch: return exec_branch(stmt, flow);
    case StmtKind::loop: return exec_loop(stmt, flow);
    case StmtKind::set:
    case StmtKind::set_block:
    case StmtKind::filter: return exec_set(stmt);
    case StmtKind::with: return exec_with(stmt, flow);
    case StmtKind::scope: return exec_scope(stmt.blocks[0], flow);
    case StmtKind::macro: {
      PONDER_ASSIGN(MacroObject * macro, make<MacroObject>(*stmt.function, scope_));
      for (Scope* scope = scope_; scope && !scope->is_captured; scope = scope->parent) scope->is_captured = true;
      scope_->set(stmt.function->name, Value::object(macro));
      return {};
    }
    case StmtKind::call: return exec_call(stmt);
    case StmtKind::break_loop: flow = Flow::stop; return {};
    case StmtKind::continue_loop: flow = Flow::again; return {};
  }
  return {};
}

Status Interp::write(const Value& value) {
  const std::size_t before = out_->size();
  PONDER_TRY(print(*out_, value));
  PONDER_TRY(check_size(out_->size()));
  return use_bytes(out_->size() - before);
}

Status Interp::exec_branch(const Stmt& stmt, Flow& flow) {
  for (std::size_t i = 0; i < stmt.exprs.size(); ++i) {
    PONDER_ASSIGN(const Value condition, eval(*stmt.exprs[i]));
    if (truth(condition)) return exec(stmt.blocks[i], flow);
  }
  return stmt.blocks.size() > stmt.exprs.size() ? exec(stmt.blocks.back(), flow) : Status();
}

Result<bool> Interp::loop_reaches(LoopObject& loop, std::size_t n) {
  const ExprPtr& condition = loop.stmt.exprs[1];
  if (!condition) return n < loop.source.size();
  while (loop.accepted.size() <= n && loop.n_seen < loop.source.size()) {
    PONDER_TRY(use());
    const Value& candidate = loop.source[loop.n_seen++];
    Scope* const here = std::exchange(scope_, open_scope(loop.outer));
    PONDER_TRY(assign(loop.stmt.targets[0], candidate));
    PONDER_ASSIGN(const Value accepted, eval(*condition));
    close_scope(scope_);
    scope_ = here;
    if (truth(accepted)) loop.accepted.push_back(candidate);
  }
  return n < loop.accepted.size();
}

Status Interp::exec_loop(const Stmt& stmt, Flow& outer_flow) {
  PONDER_ASSIGN(const Value source, eval(*stmt.exprs[0]));
  PONDER_ASSIGN(Values items, iterate(source));
  const std::size_t n_bytes = items.size() * sizeof(Value);
  memory_.bytes += n_bytes;
  PONDER_ASSIGN(LoopObject * loop, make<LoopObject>(stmt, scope_, std::move(items)));
  const Values& turns = stmt.exprs[1] ? loop->accepted : loop->source;
  bool any = false;
  for (;; ++loop->index) {
    PONDER_ASSIGN(const bool more, loop_reaches(*loop, loop->index));
    if (!more) break;
    any = true;
    PONDER_TRY(use());
    scope_ = open_scope(scope_);
    scope_->set("loop", Value::object(loop));
    PONDER_TRY(assign(stmt.targets[0], turns[loop->index]));
    Flow flow = Flow::next;
    PONDER_TRY(exec(stmt.blocks[0], flow));
    close_scope(scope_);
    if (flow == Flow::stop) break;
  }
  line_ = stmt.line;
  // Kept by nobody but a template that stored `loop`; it then sees an empty one.
  loop->source = loop->accepted = {};
  loop->n_seen = loop->index = 0;
  memory_.bytes -= n_bytes;
  if (any || stmt.blocks.size() < 2) return {};
  return exec_scope(stmt.blocks[1], outer_flow);  // a break here is one of the loop around
}

Status Interp::assign(const Target& target, const Value& value) {
  if (target.kind == Target::Kind::name) {
    scope_->set(target.name, value);
    return use(scope_->names.size() / 64);
  }
  if (target.kind == Target::Kind::attribute) {
    PONDER_ASSIGN(const Value* found, find_name(target.name));
    if (!found) return error("'{}' is undefined", target.name);
    Names* names = found->as<Names>();
    if (!names) return error("'{}' is no namespace: its attribute '{}' cannot be set", target.name, target.attribute);
    PONDER_TRY(use(names->members.size() / 64));
    for (auto& [name, old] : names->members)
      if (name->text == target.attribute) {
        old = value;
        return {};
      }
    names->members.emplace_back(std::make_shared<const Str>(target.attribute, std::vector<TextSpan>(), &memory_), value);
    return check_memory();
  }
  PONDER_ASSIGN(const Values items, iterate(value));
  if (items.size() != target.items.size())
    return error("{} values cannot be unpacked into {} names", items.size(), target.items.size());
  for (std::size_t i = 0; i < items.size(); ++i) PONDER_TRY(assign(target.items[i], items[i]));
  return {};
}

Status Interp::exec_set(const Stmt& stmt) {
  if (stmt.kind == StmtKind::set) {
    PONDER_ASSIGN(const Value value, eval(*stmt.exprs[0]));
    return assign(stmt.targets[0], value);
  }
  PONDER_ASSIGN(Value text, capture(stmt.blocks[0]));
  line_ = stmt.line;
  if (stmt.exprs[0]) {
    PONDER_ASSIGN(text, eval_filter(*stmt.exprs[0], &text));
  }
  return stmt.kind == StmtKind::filter ? write(text) : assign(stmt.targets[0], text);
}

Status Interp::exec_with(const Stmt& stmt, Flow& flow) {
  Values values;
  for (const ExprPtr& expr : stmt.exprs) {
    PONDER_ASSIGN(Value value, eval(*expr));
    values.push_back(std::move(value));
  }
  scope_ = open_scope(scope_);
  for (std::size_t i = 0; i < values.size(); ++i) PONDER_TRY(assign(stmt.targets[i], values[i]));
  PONDER_TRY(exec(stmt.blocks[0], flow));
  close_scope(scope_);
  return {};
}

Status Interp::exec_scope(const Block& block, Flow& flow) {
  scope_ = open_scope(scope_);
  PONDER_TRY(exec(block, flow));
  close_scope(scope_);
  return {};
}

Result<Value> Interp::capture(const Block& block) {
  TextBuilder text;
  TextBuilder* const outer = std::exchange(out_, &text);
  Flow flow = Flow::next;
  PONDER_TRY(exec_scope(block, flow));
  out_ = outer;
  return string(std::move(text));
}

Status Interp::exec_call(const Stmt& stmt) {
  PONDER_ASSIGN(MacroObject * caller, make<MacroObject>(*stmt.function, scope_));
  for (Scope* scope = scope_; scope && !scope->is_captured; scope = scope->parent) scope->is_captured = true;
  PONDER_ASSIGN(const Value text, eval_call(*stmt.exprs[0], Value::object(caller)));
  return write(text);
}

// Fills scope_ with the macro's parameters.
Status Interp::bind_macro(const MacroObject& macro, const CallArgs& args, const Value& caller) {
  const Function& function = macro.function;
  const std::size_t n = function.parameters.size();
  std::vector<bool> used(args.named.size());
  Value caller_given = caller;
  for (std::size_t i = 0; i < n; ++i) {
    const std::string& name = function.parameters[i];
    Value value;
    if (i < args.positional.size()) value = args.positional[i];
    for (std::size_t k = 0; k < args.named.size(); ++k) {
      if (args.named[k].first != name) continue;
      if (!value.is_missing()) return error("{}: '{}' is given twice", function.name, name);
      value = args.named[k].second;
      used[k] = true;
    }
    if (value.is_missing() && name == "caller") value = std::exchange(caller_given, Value());
    if (value.is_missing() && i + function.defaults.size() >= n) {
      PONDER_ASSIGN(value, eval(*function.defaults[i + function.defaults.size() - n]));
    }
    if (value.is_missing()) value = undefined(formatted("parameter '{}' was not provided", name));
    scope_->set(name, std::move(value));
  }
  const bool is_parameter = std::find(function.parameters.begin(), function.parameters.end(), "caller") != function.parameters.end();
  if (function.uses_caller && !is_parameter) {
    for (std::size_t k = 0; k < args.named.size(); ++k)
      if (args.named[k].first == "caller" && caller_given.is_missing()) caller_given = args.named[k].second, used[k] = true;
    scope_->set("caller", caller_given.is_missing() ? undefined("No caller defined") : caller_given);
    caller_given = Value();
  }
  if (!caller_given.is_missing()) return error("{} does not use caller(), but stands in a call block", function.name);
  if (function.uses_kwargs) {
    PONDER_ASSIGN(Dict * dict, make<Dict>());
    for (std::size_t k = 0; k < args.named.size(); ++k) {
      if (used[k]) continue;
      PONDER_ASSIGN(Value key, string(std::string(args.named[k].first)));
      PONDER_TRY(add_member(*dict, std::move(key), args.named[k].second));
    }
    scope_->set("kwargs", Value::object(dict));
  } else {
    for (std::size_t k = 0; k < used.size(); ++k)
      if (!used[k]) return error("{} has no parameter '{}'", function.name, args.named[k].first);
  }
  if (function.uses_varargs) {
    Values rest;
    for (std::size_t i = n; i < args.positional.size(); ++i) rest.push_back(args.positional[i]);
    PONDER_ASSIGN(Value varargs, sequence(std::move(rest), SequenceKind::tuple));
    scope_->set("varargs", std::move(varargs));
  } else if (args.positional.size() > n) {
    return error("{} takes at most {} arguments, {} were given", function.name, n, args.positional.size());
  }
  return {};
}

Result<Value> Interp::call_macro(const MacroObject& macro, const CallArgs& args, const Value& caller) {
  const Level level(*this);
  PONDER_TRY(level.check());
  const int line = line_;
  Scope* const here = std::exchange(scope_, open_scope(macro.scope));
  PONDER_TRY(bind_macro(macro, args, caller));
  TextBuilder text;
  TextBuilder* const outer = std::exchange(out_, &text);
  Flow flow = Flow::next;
  PONDER_TRY(exec(macro.function.body, flow));
  out_ = outer;
  close_scope(scope_);
  scope_ = here;
  line_ = line;
  return string(std::move(text));
}

}  // namespace ponder::core::jinja
