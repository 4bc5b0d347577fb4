// JSON values: config.json, chat messages, tool schemas, template values. Objects keep the order of the file, which
// `tojson` in chat templates needs. Parsing is nlohmann's SAX parser, seen by json.cpp alone (it costs seconds per file
// that includes it); limits on depth and size are ours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/memory.h"
#include "lib/base/status.h"

namespace ponder::core {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;  // file order; a repeated key keeps the last value, at its first place

  Json() = default;  // null
  // Not the variant's own copy constructor: when copying an alternative throws, libstdc++ 12 goes on to destroy it, as it
  // holds that none of these can leave the variant without a value.
  Json(const Json& other) { value_ = other.value_; }
  Json(Json&&) noexcept = default;
  Json& operator=(const Json&) = default;
  Json& operator=(Json&&) noexcept = default;
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(std::int64_t value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(double value) : value_(value) {}  // integers beyond int64 are parsed as double
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(value_); }
  bool is_double() const { return std::holds_alternative<double>(value_); }
  bool is_number() const { return is_int() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  const char* type_name() const;  // "null", "boolean", "integer", "number", "string", "array", "object"

  // Only after the matching is_...().
  bool as_bool() const { return std::get<bool>(value_); }
  std::int64_t as_int() const { return std::get<std::int64_t>(value_); }
  double as_double() const { return is_int() ? static_cast<double>(as_int()) : std::get<double>(value_); }
  const std::string& as_string() const { return std::get<std::string>(value_); }
  std::string& as_string() { return std::get<std::string>(value_); }
  const Array& as_array() const { return std::get<Array>(value_); }
  Array& as_array() { return std::get<Array>(value_); }
  const Object& as_object() const { return std::get<Object>(value_); }
  Object& as_object() { return std::get<Object>(value_); }

  // The member, or nullptr when this is no object or has none of that name.
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  // Sets or appends a member; turns null into an object.
  void set(std::string_view key, Json value);

  bool operator==(const Json& other) const { return value_ == other.value_; }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

struct JsonLimits {
  std::size_t max_bytes = std::size_t{256} << 20;
  std::size_t max_depth = 128;
  MemoryCharge* memory = nullptr;  // counts the value as it grows, somewhat more than it takes; parse_json only
};

// Strict JSON, UTF-8. `what` names the text in messages ("config.json").
Result<Json> parse_json(std::string_view text, std::string_view what, const JsonLimits& limits = {});

// Separators ", " and ": " and no escaping of non-ASCII letters, as Python's json.dumps(ensure_ascii=False) writes.
// indent < 0 gives one line.
std::string dump_json(const Json& value, int indent = -1);

// Events for files too large for a tree of values (tokenizer.json). Each returns false to stop with `error()`'s text.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual bool null() = 0;
  virtual bool boolean(bool value) = 0;
  virtual bool integer(std::int64_t value) = 0;
  virtual bool number(double value) = 0;
  virtual bool string(std::string& value) = 0;  // may be moved from
  virtual bool start_object() = 0;
  virtual bool key(std::string& name) = 0;
  virtual bool end_object() = 0;
  virtual bool start_array() = 0;
  virtual bool end_array() = 0;
  virtual std::string error() const { return "stopped"; }
  virtual Status stopped() const { return {}; }  // what the parse ends with where the text is not at fault
};
Status parse_json_events(std::string_view text, std::string_view what, JsonEvents& events,
                         const JsonLimits& limits = {});

// Builds the value that the events describe. A reader of a large file passes on the events of the parts it wants as values.
class JsonBuilder : public JsonEvents {
 public:
  explicit JsonBuilder(MemoryCharge* memory = nullptr) : memory_(memory) {}

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool integer(std::int64_t value) override { return add(Json(value)); }
  bool number(double value) override { return add(Json(value)); }
  bool string(std::string& value) override { return count(text_bytes(value)) && add(Json(std::move(value))); }
  bool start_object() override { return open(Json(Json::Object())); }
  bool key(std::string& name) override;
  bool end_object() override;
  bool start_array() override { return open(Json(Json::Array())); }
  bool end_array() override { return close(); }

  Status stopped() const override { return stopped_; }

  Json take() { return std::move(root_); }

 private:
  struct Open {
    Json value;
    std::string key;
  };
  static std::size_t text_bytes(const std::string& text) { return 32 + text.capacity(); }
  bool count(std::size_t n_bytes);
  bool add(Json value);
  bool open(Json value);
  bool close();

  MemoryCharge* memory_;
  Status stopped_;
  Json root_;
  std::vector<Open> open_;
};

}  // namespace ponder::core
