// Values of a running template. Strings are shared and know which of their bytes came from messages, tools or kwargs;
// everything else lives in an arena that is freed at once when the render ends, so that cycles (a namespace that holds
// itself) neither leak nor recurse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/text/tokenizer.h"

namespace ponder::core::jinja {

// Live bytes of one render.
struct MemoryUse {
  std::size_t bytes = 0;
};

// A string. `taint`: byte spans that came from outside the template; ascending, disjoint, not touching.
struct Str {
  Str(std::string text_, std::vector<TextSpan> taint_, MemoryUse* memory_);
  ~Str();
  Str(const Str&) = delete;
  Str& operator=(const Str&) = delete;

  std::string text;
  std::vector<TextSpan> taint;
  std::size_t length = 0;  // code points
  MemoryUse* memory;       // null for constants of the template
  bool is_ascii() const { return length == text.size(); }
  std::size_t cost() const { return sizeof(Str) + text.size() + taint.size() * sizeof(TextSpan); }
};
using StrPtr = std::shared_ptr<const Str>;

// Writes a string piece by piece and keeps account of the spans.
class TextBuilder {
 public:
  void append(std::string_view text, bool tainted);
  void append(const Str& text) { append(text, 0, text.text.size()); }
  void append(const Str& text, std::size_t begin, std::size_t end);  // bytes [begin, end)
  void reserve(std::size_t n_bytes) { text_.reserve(n_bytes); }
  std::size_t size() const { return text_.size(); }
  std::string& text() { return text_; }
  std::vector<TextSpan>& taint() { return taint_; }

 private:
  void mark(std::size_t begin, std::size_t end);
  std::string text_;
  std::vector<TextSpan> taint_;
};

// Whether the byte at `at` is tainted; `hint` remembers the span, for callers that walk upwards.
bool tainted_at(const Str& text, std::size_t at, std::size_t& hint);

enum class ObjectKind { sequence, dict, names, range, macro, loop, method, function, cycler, joiner };

struct Object {
  explicit Object(ObjectKind kind_) : kind(kind_) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  const ObjectKind kind;
};

// missing: no argument was given; never seen by a template.
enum class Kind : std::uint8_t { missing, undefined, none, boolean, integer, real, string, object };

class Value {
 public:
  Value() = default;  // missing
  static Value none() { return Value(Kind::none); }
  static Value boolean(bool value) {
    Value v(Kind::boolean);
    v.bits_.boolean = value;
    return v;
  }
  static Value integer(std::int64_t value) {
    Value v(Kind::integer);
    v.bits_.integer = value;
    return v;
  }
  static Value real(double value) {
    Value v(Kind::real);
    v.bits_.real = value;
    return v;
  }
  static Value string(StrPtr text) {
    Value v(Kind::string);
    v.text_ = std::move(text);
    return v;
  }
  // `why` is the message of the error that using the value gives.
  static Value undefined(StrPtr why) {
    Value v(Kind::undefined);
    v.text_ = std::move(why);
    return v;
  }
  static Value object(Object* object) {
    Value v(Kind::object);
    v.bits_.object = object;
    return v;
  }

  Kind kind() const { return kind_; }
  bool is_missing() const { return kind_ == Kind::missing; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_boolean() const { return kind_ == Kind::boolean; }
  bool is_integer() const { return kind_ == Kind::integer; }  // booleans are not
  bool is_real() const { return kind_ == Kind::real; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_number() const { return kind_ == Kind::boolean || kind_ == Kind::integer || kind_ == Kind::real; }
  bool is_integral() const { return kind_ == Kind::boolean || kind_ == Kind::integer; }

  // Only after the matching is_...().
  bool as_boolean() const { return bits_.boolean; }
  std::int64_t as_integer() const { return kind_ == Kind::boolean ? bits_.boolean : bits_.integer; }
  double as_real() const { return kind_ == Kind::real ? bits_.real : static_cast<double>(as_integer()); }
  const Str& str() const { return *text_; }
  const StrPtr& str_ptr() const { return text_; }
  const std::string& text() const { return text_->text; }

  Object* object() const { return kind_ == Kind::object ? bits_.object : nullptr; }
  // The object when it is a T, or nullptr.
  template <class T>
  T* as() const {
    return kind_ == Kind::object && bits_.object->kind == T::kKind ? static_cast<T*>(bits_.object) : nullptr;
  }

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Kind kind_ = Kind::missing;
  union {
    bool boolean;
    std::int64_t integer;
    double real;
    Object* object;
  } bits_ = {};
  StrPtr text_;
};

using Values = std::vector<Value>;

// list and tuple; `iterator` is what generators and reversed() give: once through, no length, always true; the views are
// those of a dict.
enum class SequenceKind : std::uint8_t { list, tuple, iterator, keys, values, items };

struct Sequence final : Object {
  static constexpr ObjectKind kKind = ObjectKind::sequence;
  Sequence(SequenceKind form_, Values items_) : Object(kKind), form(form_), items(std::move(items_)) {}
  SequenceKind form;
  Values items;
  bool is_indexable() const { return form == SequenceKind::list || form == SequenceKind::tuple; }
};

struct Dict final : Object {
  static constexpr ObjectKind kKind = ObjectKind::dict;
  Dict() : Object(kKind) {}
  std::vector<std::pair<Value, Value>> members;  // in order of insertion
  const Value* find(std::string_view key) const;
};

// namespace(): the only value that a template can change.
struct Names final : Object {
  static constexpr ObjectKind kKind = ObjectKind::names;
  Names() : Object(kKind) {}
  std::vector<std::pair<StrPtr, Value>> members;
};

struct Range final : Object {
  static constexpr ObjectKind kKind = ObjectKind::range;
  Range(std::int64_t start_, std::int64_t stop_, std::int64_t step_, std::int64_t size_)
      : Object(kKind), start(start_), stop(stop_), step(step_), size(size_) {}
  // Unsigned, since i * step alone may not fit.
  std::int64_t at(std::int64_t i) const {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(start) +
                                     static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(step));
  }
  std::int64_t start, stop, step, size;
};

// cycler(...)
struct Cycler final : Object {
  static constexpr ObjectKind kKind = ObjectKind::cycler;
  explicit Cycler(Values items_) : Object(kKind), items(std::move(items_)) {}
  Values items;
  std::size_t at = 0;
};

// joiner(separator)
struct Joiner final : Object {
  static constexpr ObjectKind kKind = ObjectKind::joiner;
  explicit Joiner(Value separator_) : Object(kKind), separator(std::move(separator_)) {}
  Value separator;
  bool used = false;
};

// Python's name of the value's type, for messages.
const char* type_name(const Value& value);

}  // namespace ponder::core::jinja
