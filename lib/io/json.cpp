#include "lib/io/json.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "lib/base/format.h"

namespace ponder::core {
namespace {

// Walks the text and notes how far the parser has read, so that a handler that stops can say where.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at = nullptr;
  const char** reached = nullptr;

  reference operator*() const { return *at; }
  Cursor& operator++() {
    *reached = ++at;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at == other.at; }
  bool operator!=(const Cursor& other) const { return at != other.at; }
};

// The parser's message without its "[json.exception...]" tag; short and printable, since it quotes the text.
std::string readable(std::string_view message) {
  constexpr std::size_t kMaxMessage = 200;
  if (message.starts_with('[')) {
    const std::size_t tag_end = message.find("] ");
    if (tag_end != std::string_view::npos) message.remove_prefix(tag_end + 2);
  }
  std::string text(message.substr(0, kMaxMessage));
  for (char& c : text)
    if (c < 0x20 || c > 0x7e) c = '?';
  if (message.size() > kMaxMessage) text += "...";
  return text;
}

// nlohmann's SAX interface on one side, JsonEvents on the other.
class Handler : public nlohmann::json_sax<nlohmann::json> {
 public:
  Handler(JsonEvents& events, std::size_t max_depth) : events_(events), max_depth_(max_depth) {}

  bool null() override { return pass(events_.null()); }
  bool boolean(bool value) override { return pass(events_.boolean(value)); }
  bool number_integer(number_integer_t value) override { return pass(events_.integer(value)); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
      return pass(events_.number(static_cast<double>(value)));
    return pass(events_.integer(static_cast<std::int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override { return pass(events_.number(value)); }
  bool string(string_t& value) override { return pass(events_.string(value)); }
  bool binary(binary_t&) override { return pass(false); }
  bool start_object(std::size_t) override { return enter() && pass(events_.start_object()); }
  bool key(string_t& name) override { return pass(events_.key(name)); }
  bool end_object() override { return leave() && pass(events_.end_object()); }
  bool start_array(std::size_t) override { return enter() && pass(events_.start_array()); }
  bool end_array() override { return leave() && pass(events_.end_array()); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    syntax_error_ = readable(error.what());
    position_ = position;
    return false;
  }

  Status failure(std::string_view what, std::size_t reached) const {
    if (!syntax_error_.empty()) return fail(Code::bad_file, "{}: byte {}: {}", what, position_, syntax_error_);
    if (too_deep_) return fail(Code::bad_file, "{}: byte {}: nested deeper than {}", what, reached, max_depth_);
    if (Status stopped = events_.stopped(); !stopped.ok()) return std::move(stopped).with_prefix(what);
    return fail(Code::bad_file, "{}: byte {}: {}", what, reached, events_.error());
  }

 private:
  static bool pass(bool go_on) { return go_on; }
  bool enter() {
    too_deep_ = ++depth_ > max_depth_;
    return !too_deep_;
  }
  bool leave() {
    --depth_;
    return true;
  }

  JsonEvents& events_;
  std::size_t max_depth_;
  std::size_t depth_ = 0;
  std::size_t position_ = 0;
  bool too_deep_ = false;
  std::string syntax_error_;
};

// A repeated key keeps the last value, at its first place. Done once per object: looking each key up as it comes is
// quadratic, and a vocabulary has 10^5 of them.
void merge_repeated_keys(Json::Object& members) {
  std::unordered_map<std::string_view, std::size_t> first;
  first.reserve(members.size());
  bool repeated = false;
  for (std::size_t i = 0; i < members.size(); ++i) repeated |= !first.try_emplace(members[i].first, i).second;
  if (!repeated) return;
  std::vector<bool> keep(members.size(), true);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::size_t place = first.at(members[i].first);
    if (place == i) continue;
    members[place].second = std::move(members[i].second);
    keep[i] = false;
  }
  Json::Object merged;
  for (std::size_t i = 0; i < members.size(); ++i)
    if (keep[i]) merged.push_back(std::move(members[i]));
  members = std::move(merged);
}

void dump_string(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += formatted("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

// As Python's float.__repr__: shortest text that reads back as the same number, always with a point or an exponent.
void dump_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    const std::string text = formatted("{}", value);
    out += text;
    if (text.find_first_of(".e") == std::string::npos) out += ".0";
  }
}

void new_line(std::string& out, int indent, std::size_t depth) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<std::size_t>(indent) * depth, ' ');
}

void dump(std::string& out, const Json& value, int indent, std::size_t depth) {
  const std::string_view separator = indent < 0 ? ", " : ",";
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    out += formatted("{}", value.as_int());
  } else if (value.is_double()) {
    dump_double(out, value.as_double());
  } else if (value.is_string()) {
    dump_string(out, value.as_string());
  } else if (value.is_array()) {
    if (value.as_array().empty()) {
      out += "[]";
      return;
    }
    bool first = true;
    out += '[';
    for (const Json& element : value.as_array()) {
      if (!first) out += separator;
      first = false;
      new_line(out, indent, depth + 1);
      dump(out, element, indent, depth + 1);
    }
    new_line(out, indent, depth);
    out += ']';
  } else {
    if (value.as_object().empty()) {
      out += "{}";
      return;
    }
    bool first = true;
    out += '{';
    for (const auto& [name, member] : value.as_object()) {
      if (!first) out += separator;
      first = false;
      new_line(out, indent, depth + 1);
      dump_string(out, name);
      out += ": ";
      dump(out, member, indent, depth + 1);
    }
    new_line(out, indent, depth);
    out += '}';
  }
}

}  // namespace

const char* Json::type_name() const {
  static constexpr const char* kNames[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
  return kNames[value_.index()];
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  for (const Member& member : as_object())
    if (member.first == key) return &member.second;
  return nullptr;
}

Json* Json::find(std::string_view key) { return const_cast<Json*>(std::as_const(*this).find(key)); }

void Json::set(std::string_view key, Json value) {
  if (!is_object()) value_ = Object();
  if (Json* member = find(key)) {
    *member = std::move(value);
  } else {
    as_object().emplace_back(std::string(key), std::move(value));
  }
}

Status parse_json_events(std::string_view text, std::string_view what, JsonEvents& events, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    return fail(Code::bad_file, "{}: {} bytes of JSON, at most {} are read", what, text.size(), limits.max_bytes);
  // The parser takes a zero byte for the end of the text and would not look at the rest.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos)
    return fail(Code::bad_file, "{}: byte {}: a zero byte in JSON", what, zero);
  const char* reached = text.data();
  Handler handler(events, limits.max_depth);
  if (!nlohmann::json::sax_parse(Cursor{text.data(), &reached}, Cursor{text.data() + text.size(), &reached}, &handler))
    return handler.failure(what, static_cast<std::size_t>(reached - text.data()));
  return {};
}

bool JsonBuilder::count(std::size_t n_bytes) {
  if (memory_) stopped_ = memory_->add(n_bytes);
  return stopped_.ok();
}

bool JsonBuilder::key(std::string& name) {
  if (!count(text_bytes(name))) return false;
  open_.back().key = std::move(name);
  return true;
}

bool JsonBuilder::end_object() {
  merge_repeated_keys(open_.back().value.as_object());
  return close();
}

bool JsonBuilder::add(Json value) {
  if (open_.empty()) {
    root_ = std::move(value);
  } else if (Open& parent = open_.back(); parent.value.is_array()) {
    if (!count(3 * sizeof(Json))) return false;  // a list that grows is there twice, of which one is half empty
    parent.value.as_array().push_back(std::move(value));
  } else {
    if (!count(3 * sizeof(Json::Member))) return false;  // merge_repeated_keys comes when the list does not grow any more
    parent.value.as_object().emplace_back(std::move(parent.key), std::move(value));
  }
  return true;
}

bool JsonBuilder::open(Json value) {
  open_.push_back({std::move(value), {}});
  return true;
}

bool JsonBuilder::close() {
  Json value = std::move(open_.back().value);
  open_.pop_back();
  return add(std::move(value));
}

Result<Json> parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  JsonBuilder builder(limits.memory);
  PONDER_TRY(parse_json_events(text, what, builder, limits));
  return builder.take();
}

std::string dump_json(const Json& value, int indent) {
  std::string out;
  dump(out, value, indent, 0);
  return out;
}

}  // namespace ponder::core
