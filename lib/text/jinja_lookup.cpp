// Attributes, items and slices, in Jinja's order: x.name looks for a method before a key, x['name'] the other way round.
#include <algorithm>
#include <limits>

#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_interp.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

std::string owner_name(const Value& value) {
  if (value.is_none()) return "None";
  return std::string(type_name(value)) + " object";
}

// Byte offset of a code point, n <= text.length.
std::size_t offset_of(const Str& text, std::size_t n) {
  if (text.is_ascii()) return n;
  std::size_t at = 0;
  for (; n > 0; --n) at += utf8::next(text.text, at).size;
  return at;
}

const NativeFunction* find(std::span<const NativeFunction> table, std::string_view name) {
  for (const NativeFunction& function : table)
    if (function.name == name) return &function;
  return nullptr;
}

}  // namespace

const NativeFunction* Interp::method(const Value& value, std::string_view name) const {
  if (value.is_string()) return find(str_methods(), name);
  if (value.kind() != Kind::object) return nullptr;
  const Sequence* sequence = value.as<Sequence>();
  if (sequence && (!sequence->is_indexable() || (name == "copy" && sequence->form == SequenceKind::tuple))) return nullptr;
  return find(object_methods(value.object()->kind), name);
}

namespace {

// What Python's getattr finds; missing when nothing.
Result<Value> get_attribute(Interp& in, const Value& value, std::string_view name) {
  if (const NativeFunction* method = in.method(value, name)) {
    PONDER_ASSIGN(MethodObject * bound, in.make<MethodObject>(value, *method));
    return Value::object(bound);
  }
  if (const Names* names = value.as<Names>()) {
    PONDER_TRY(in.use(names->members.size() / 64));
    for (const auto& [key, member] : names->members)
      if (key->text == name) return member;
    return Value();
  }
  if (const Cycler* cycler = value.as<Cycler>(); cycler && name == "current") return cycler->items[cycler->at];
  if (const MacroObject* macro = value.as<MacroObject>(); macro && name == "name") return in.string(macro->function.name);
  if (value.object() && is_mutator(value.object()->kind, name)) {
    const Sequence* sequence = value.as<Sequence>();
    if (!sequence || sequence->form == SequenceKind::list)
      return in.undefined(formatted("access to attribute '{}' of '{}' is unsafe: templates cannot change values", name,
                                      owner_name(value)));
  }
  LoopObject* loop = value.as<LoopObject>();
  if (!loop) return Value();
  const auto integer = [](std::size_t n) { return Value::integer(static_cast<std::int64_t>(n)); };
  const Values& items = loop->stmt.exprs[1] ? loop->accepted : loop->source;
  if (name == "index") return integer(loop->index + 1);
  if (name == "index0") return integer(loop->index);
  if (name == "first") return Value::boolean(loop->index == 0);
  if (name == "depth") return integer(1);
  if (name == "depth0") return integer(0);
  if (name == "previtem") {
    if (loop->index == 0 || loop->index > items.size()) return in.undefined("there is no previous item");
    return items[loop->index - 1];
  }
  if (name == "last" || name == "nextitem") {
    PONDER_ASSIGN(const bool more, in.loop_reaches(*loop, loop->index + 1));
    if (name == "last") return Value::boolean(!more);
    if (!more) return in.undefined("there is no next item");
    return items[loop->index + 1];
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    PONDER_ASSIGN(const std::int64_t n, in.length(value));
    const auto index = static_cast<std::int64_t>(loop->index);
    return Value::integer(name == "length" ? n : name == "revindex" ? n - index : n - index - 1);
  }
  return Value();
}

// value[index] for lists, tuples, ranges, strings and dicts; missing when there is none.
Result<Value> get_item(Interp& in, const Value& value, const Value& index) {
  if (const Dict* dict = value.as<Dict>()) {
    PONDER_TRY(in.use_lookup(*dict, index.is_string() ? std::string_view(index.text()) : std::string_view()));
    if (index.is_string()) {
      const Value* found = dict->find(index.text());
      return found ? *found : Value();
    }
    for (const auto& [key, member] : dict->members) {
      PONDER_ASSIGN(const bool same, in.equal(key, index));
      if (same) return member;
    }
    return Value();
  }
  if (!index.is_integral()) return Value();
  const Sequence* sequence = value.as<Sequence>();
  const Range* range = value.as<Range>();
  if (!value.is_string() && !range && !(sequence && sequence->is_indexable())) return Value();
  PONDER_ASSIGN(const std::int64_t size, in.length(value));
  std::int64_t at = index.as_integer();
  if (at < 0) at += size;
  if (at < 0 || at >= size) return Value();
  if (sequence) return sequence->items[static_cast<std::size_t>(at)];
  if (range) return Value::integer(range->at(at));
  const Str& text = value.str();
  PONDER_TRY(in.use_bytes(text.is_ascii() ? 0 : text.text.size()));
  const std::size_t begin = offset_of(text, static_cast<std::size_t>(at));
  return in.substring(text, begin, begin + utf8::next(text.text, begin).size);
}

}  // namespace

Result<Value> Interp::attribute(const Value& value, std::string_view name) {
  if (value.is_undefined()) return error("{}", value.text());
  PONDER_ASSIGN(Value found, get_attribute(*this, value, name));
  if (!found.is_missing()) return found;
  if (const Dict* dict = value.as<Dict>()) {
    PONDER_TRY(use_lookup(*dict, name));
    if (const Value* member = dict->find(name)) return *member;
  }
  return undefined(formatted("'{}' has no attribute '{}'", owner_name(value), name));
}

Result<Value> Interp::item(const Value& value, const Value& index) {
  if (value.is_undefined()) return error("{}", value.text());
  PONDER_ASSIGN(Value found, get_item(*this, value, index));
  if (found.is_missing() && index.is_string()) {
    PONDER_ASSIGN(found, get_attribute(*this, value, index.text()));
    if (found.is_missing()) return undefined(formatted("'{}' has no attribute '{}'", owner_name(value), index.text().substr(0, 80)));
  }
  if (!found.is_missing()) return found;
  TextBuilder shown;
  PONDER_TRY(print_repr(shown, index));
  return undefined(formatted("{} has no element {}", owner_name(value), shown.text().substr(0, 80)));
}

Result<Value> Interp::slice(const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is_undefined()) return error("{}", value.text());
  const Sequence* sequence = value.as<Sequence>();
  const Range* range = value.as<Range>();
  if (!value.is_string() && !range && !(sequence && sequence->is_indexable()))
    return undefined(formatted("{} cannot be sliced", owner_name(value)));
  PONDER_ASSIGN(const std::int64_t size, length(value));
  const auto given = [](const Value& v) { return !v.is_missing() && !v.is_none(); };
  for (const Value* v : {&start, &stop, &step})
    if (given(*v) && !v->is_integral()) return error("a slice wants integers, found {}", type_name(*v));
  const std::int64_t by = given(step) ? step.as_integer() : 1;
  if (by == 0) return error("a slice's step cannot be 0");
  // As PySlice_AdjustIndices.
  const auto clamped = [&](const Value& v, std::int64_t otherwise) {
    if (!given(v)) return otherwise;
    std::int64_t at = v.as_integer();
    if (at < 0) at = std::max(at + size, std::int64_t{by < 0 ? -1 : 0});
    return std::min(at, by < 0 ? size - 1 : size);
  };
  const std::int64_t from = clamped(start, by < 0 ? size - 1 : 0), to = clamped(stop, by < 0 ? -1 : size);
  std::int64_t n = 0;
  if (by > 0 && from < to) n = (to - from - 1) / by + 1;
  if (by < 0 && from > to) n = by == std::numeric_limits<std::int64_t>::min() ? 1 : (from - to - 1) / -by + 1;
  if (value.is_string()) {
    const Str& text = value.str();
    PONDER_TRY(use_bytes(text.text.size()));
    if (by == 1 || n <= 1) {
      if (n == 0) return string(std::string());
      const std::size_t begin = offset_of(text, static_cast<std::size_t>(from));
      const std::size_t end = offset_of(text, static_cast<std::size_t>(from + n));
      return substring(text, begin, end);
    }
    std::vector<std::size_t> starts;
    PONDER_TRY(use(text.length / 16));
    for (std::size_t i = 0; i < text.text.size(); i += utf8::next(text.text, i).size) starts.push_back(i);
    starts.push_back(text.text.size());
    TextBuilder out;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(from + i * by);
      out.append(text, starts[at], starts[at + 1]);
    }
    return string(std::move(out));
  }
  Values items;
  PONDER_TRY(use(static_cast<std::size_t>(n) / 16));
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t at = from + i * by;
    items.push_back(sequence ? sequence->items[static_cast<std::size_t>(at)] : Value::integer(range->at(at)));
  }
  return this->sequence(std::move(items), sequence ? sequence->form : SequenceKind::list);
}

}  // namespace ponder::core::jinja
