// Runs a parsed template. One Interp renders once, on one thread; nothing of it outlives the render.
//
// Semantics are those of Jinja 3.1 as transformers sets it up: ImmutableSandboxedEnvironment (no method that changes a
// list or dict, no range of more than 100000), Python's truth, arithmetic, repr and str methods. Differences: integers have
// 64 bits, and overflow is an error; `safe` and `escape` give plain strings.
//
// Bounds: every node, loop turn and list element is a step, and so are every 128 bytes of text that is read or made; strings, output,
// depth and live bytes have limits of their own.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/format.h"
#include "lib/text/chat_template.h"
#include "lib/text/jinja_ast.h"
#include "lib/text/jinja_value.h"

namespace ponder::core::jinja {

class Interp;

struct CallArgs {
  Values positional;
  std::vector<std::pair<std::string_view, Value>> named;
};

// A method of str, dict, list, ..., or a global function (whose `self` is missing).
struct NativeFunction {
  std::string_view name;
  Result<Value> (*run)(Interp&, const Value& self, const CallArgs&);
};

struct Scope final {
  Scope* parent = nullptr;
  bool is_captured = false;  // a macro was defined inside and may look here later
  std::vector<std::pair<std::string_view, Value>> names;
  const Value* find(std::string_view name, std::size_t& n_walked) const;
  void set(std::string_view name, Value value);
};

struct MacroObject final : Object {
  static constexpr ObjectKind kKind = ObjectKind::macro;
  MacroObject(const Function& function_, Scope* scope_) : Object(kKind), function(function_), scope(scope_) {}
  const Function& function;
  Scope* scope;
};

struct LoopObject final : Object {
  static constexpr ObjectKind kKind = ObjectKind::loop;
  LoopObject(const Stmt& stmt_, Scope* outer_, Values source_)
      : Object(kKind), stmt(stmt_), outer(outer_), source(std::move(source_)) {}
  const Stmt& stmt;
  Scope* outer;
  Values source;        // what the loop runs over
  std::size_t n_seen = 0;    // of source, by the loop's own filter
  Values accepted;      // what has passed it so far
  std::size_t index = 0;
  Value last_changed;
};

struct MethodObject final : Object {
  static constexpr ObjectKind kKind = ObjectKind::method;
  MethodObject(Value self_, const NativeFunction& function_) : Object(kKind), self(std::move(self_)), function(function_) {}
  Value self;
  const NativeFunction& function;
};

class Interp {
 public:
  explicit Interp(const TemplateLimits& limits) : limits_(limits) {}
  Result<RenderedChat> run(const Block& block, const ChatInput& input);

  // Budget and errors.
  template <class... Args>
  Status error(fmt::format_string<Args...> text, Args&&... args) const {
    return fail(Code::bad_template, "line {}: {}", line_, formatted(text, std::forward<Args>(args)...));
  }
  Status use(std::size_t n_steps = 1);
  Status use_bytes(std::size_t n_bytes) { return use(n_bytes / 128); }
  Status use_texts(const Value& subject, const CallArgs& args);  // what a function may have to read
  Status use_lookup(const Dict& dict, std::string_view key) { return use(dict.members.size() * (1 + key.size() / 128) / 8); }
  Status check_size(std::size_t n_bytes) const;  // of one string
  Status check_memory() const;

  // One level of recursion; check() before going on.
  class Level {
   public:
    explicit Level(Interp& in) : in_(in) { ++in_.depth_; }
    ~Level() { --in_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    Status check() const;

   private:
    Interp& in_;
  };

  // New values.
  Result<Value> string(std::string text, bool tainted = false);
  Result<Value> string(TextBuilder&& text);
  Result<Value> substring(const Str& text, std::size_t begin, std::size_t end);  // bytes
  Result<Value> sequence(Values items, SequenceKind form = SequenceKind::list);
  Result<Value> from_json(const Json& json);  // its strings are tainted
  Value undefined(std::string why) const;
  template <class T, class... Args>
  Result<T*> make(Args&&... args) {
    objects_.push_back(std::make_unique<T>(std::forward<Args>(args)...));
    memory_.bytes += sizeof(T) + 32;
    PONDER_TRY(check_memory());
    return static_cast<T*>(objects_.back().get());
  }
  Status add_member(Dict& dict, Value key, Value value);  // replaces an equal key

  // Python's operations (jinja_operators.cpp).
  static bool truth(const Value& value);
  Result<bool> equal(const Value& a, const Value& b);
  Result<bool> ordered(Op op, const Value& a, const Value& b);  // <, <=, >, >=
  Result<bool> contains(const Value& container, const Value& item);
  Result<Value> arithmetic(Op op, const Value& a, const Value& b);
  Result<Values> iterate(const Value& value);
  Result<std::int64_t> length(const Value& value);
  Result<Values> sorted(Values items, const Values& keys, bool reverse);  // stable

  // str(), repr() and tojson (jinja_print.cpp).
  Status print(TextBuilder& out, const Value& value);
  Status print_repr(TextBuilder& out, const Value& value);
  Result<Value> to_str(const Value& value);
  struct JsonStyle {
    bool ensure_ascii = false, sort_keys = false, is_indented = false;
    std::string indent, item_separator = ", ", key_separator = ": ";
  };
  Status print_json(TextBuilder& out, const Value& value, const JsonStyle& style, std::size_t depth = 0);

  // Lookups (jinja_lookup.cpp).
  Result<Value> attribute(const Value& value, std::string_view name);
  Result<Value> item(const Value& value, const Value& index);
  Result<Value> slice(const Value& value, const Value& start, const Value& stop, const Value& step);
  const NativeFunction* method(const Value& value, std::string_view name) const;

  Result<Value> call(const Value& callee, const CallArgs& args);
  Result<Value> filter(std::string_view name, const Value& value, const CallArgs& args);
  Result<bool> predicate(std::string_view name, const Value& value, const CallArgs& args);
  // The arguments in the order of `names`; missing where not given.
  Result<Values> bind(std::string_view function, const CallArgs& args, std::initializer_list<std::string_view> names,
                      std::size_t n_required = 0);
  Result<std::int64_t> as_index(const Value& value, std::string_view what) const;
  Result<const Str*> as_str(const Value& value, std::string_view what) const;

  // Loops: whether there is an n-th item, and the last number of items.
  Result<bool> loop_reaches(LoopObject& loop, std::size_t n);

 private:
  enum class Flow { next, stop, again };  // stop: break, again: continue

  // Statements (jinja_interp.cpp).
  Status exec(const Block& block, Flow& flow);
  Status exec_one(const Stmt& stmt, Flow& flow);
  Status exec_branch(const Stmt& stmt, Flow& flow);
  Status exec_loop(const Stmt& stmt, Flow& outer_flow);
  Status exec_set(const Stmt& stmt);
  Status exec_with(const Stmt& stmt, Flow& flow);
  Status exec_call(const Stmt& stmt);
  Status exec_scope(const Block& block, Flow& flow);
  Result<Value> capture(const Block& block);  // the output of a block in a scope of its own
  Status assign(const Target& target, const Value& value);
  Result<const Value*> find_name(std::string_view name);  // null: undefined
  Result<Value> call_native(const NativeFunction& function, const Value& self, const CallArgs& args);
  Result<Value> call_macro(const MacroObject& macro, const CallArgs& args, const Value& caller = {});
  Status bind_macro(const MacroObject& macro, const CallArgs& args, const Value& caller);
  Status define_globals(const ChatInput& input);
  Status write(const Value& value);

  Scope* open_scope(Scope* parent);
  void close_scope(Scope* scope);

  // Expressions (jinja_eval.cpp).
  Result<Value> eval(const Expr& expr);
  Result<Value> eval_optional(const ExprPtr& expr);  // missing for null
  Result<Value> eval_name(const Expr& expr);
  Result<Value> eval_sequence(const Expr& expr);
  Result<Value> eval_dict(const Expr& expr);
  Result<Value> eval_item(const Expr& expr);
  Result<Value> eval_call(const Expr& expr, const Value& caller = {});
  Result<Value> eval_filter(const Expr& expr, const Value* block = nullptr);
  Result<Value> eval_test(const Expr& expr);
  Result<Value> eval_sign(const Expr& expr);
  Result<Value> eval_arithmetic(const Expr& expr);
  Result<Value> eval_compare(const Expr& expr);
  Result<Value> eval_logical(const Expr& expr);
  Result<Value> eval_concat(const Expr& expr);
  Result<Value> eval_conditional(const Expr& expr);
  Result<CallArgs> eval_arguments(const Arguments& arguments);
  Result<bool> compare(Op op, const Value& a, const Value& b);

  const TemplateLimits& limits_;
  MemoryUse memory_;  // outlives every string below
  MemoryCharge* charge_ = nullptr;  // of the host's account
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<std::unique_ptr<Scope>> scopes_;
  std::vector<Scope*> free_scopes_;
  Scope* scope_ = nullptr;
  TextBuilder* out_ = nullptr;
  std::size_t n_steps_ = 0;
  std::size_t depth_ = 0;
  int line_ = 1;
};

}  // namespace ponder::core::jinja
