#include "lib/text/jinja_value.h"

#include <algorithm>

#include "lib/text/utf8.h"

namespace ponder::core::jinja {

Str::Str(std::string text_, std::vector<TextSpan> taint_, MemoryUse* memory_)
    : text(std::move(text_)), taint(std::move(taint_)), memory(memory_) {
  std::size_t i = 0;
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;  // most texts are ASCII
  for (length = i; i < text.size(); ++length) i += utf8::next(text, i).size;
  if (memory) memory->bytes += cost();
}

Str::~Str() {
  if (memory) memory->bytes -= cost();
}

void TextBuilder::mark(std::size_t begin, std::size_t end) {
  if (begin == end) return;
  if (!taint_.empty() && taint_.back().end == begin) {
    taint_.back().end = end;
  } else {
    taint_.push_back({begin, end});
  }
}

void TextBuilder::append(std::string_view text, bool tainted) {
  if (tainted) mark(text_.size(), text_.size() + text.size());
  text_ += text;
}

void TextBuilder::append(const Str& text, std::size_t begin, std::size_t end) {
  const std::size_t base = text_.size();
  text_.append(text.text, begin, end - begin);
  auto span = std::lower_bound(text.taint.begin(), text.taint.end(), begin,
                               [](const TextSpan& s, std::size_t at) { return s.end <= at; });
  for (; span != text.taint.end() && span->begin < end; ++span)
    mark(base + std::max(span->begin, begin) - begin, base + std::min(span->end, end) - begin);
}

bool tainted_at(const Str& text, std::size_t at, std::size_t& hint) {
  while (hint < text.taint.size() && text.taint[hint].end <= at) ++hint;
  return hint < text.taint.size() && text.taint[hint].begin <= at;
}

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : members)
    if (name.is_string() && name.text() == key) return &value;
  return nullptr;
}

const char* type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined: return "Undefined";
    case Kind::none: return "None";
    case Kind::boolean: return "bool";
    case Kind::integer: return "int";
    case Kind::real: return "float";
    case Kind::string: return "str";
    case Kind::object: break;
  }
  switch (value.object()->kind) {
    case ObjectKind::sequence: {
      static constexpr const char* kForms[] = {"list", "tuple", "generator", "dict_keys", "dict_values", "dict_items"};
      return kForms[static_cast<std::size_t>(value.as<Sequence>()->form)];
    }
    case ObjectKind::dict: return "dict";
    case ObjectKind::names: return "Namespace";
    case ObjectKind::range: return "range";
    case ObjectKind::macro: return "Macro";
    case ObjectKind::loop: return "LoopContext";
    case ObjectKind::method: return "method";
    case ObjectKind::function: return "function";
    case ObjectKind::cycler: return "Cycler";
    case ObjectKind::joiner: return "Joiner";
  }
  return "object";
}

}  // namespace ponder::core::jinja
