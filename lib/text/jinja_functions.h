// The tables of what a template can call.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lib/text/jinja_interp.h"

namespace ponder::core::jinja {

struct Filter {
  std::string_view name;
  Result<Value> (*run)(Interp&, const Value& value, const CallArgs&);
};

struct Predicate {
  std::string_view name;
  Result<bool> (*run)(Interp&, const Value& value, const CallArgs&);
};

std::span<const NativeFunction> global_functions();  // range, namespace, raise_exception, ... (jinja_globals.cpp)
std::span<const NativeFunction> str_methods();       // jinja_str_methods.cpp
std::span<const NativeFunction> object_methods(ObjectKind kind);  // jinja_globals.cpp
std::span<const Filter> text_filters();              // jinja_text_filters.cpp
std::span<const Filter> list_filters();              // jinja_list_filters.cpp
const Predicate* find_predicate(std::string_view name);  // jinja_predicates.cpp
const Filter* find_filter(std::string_view name);        // jinja_text_filters.cpp

// Methods that the sandbox of transformers refuses: they would change a list or dict.
bool is_mutator(ObjectKind kind, std::string_view name);

// "%s is %d" % values, and "{} is {name}".format(...) (jinja_format.cpp).
Result<Value> format_percent(Interp& in, const Str& format, const Value& values);
Result<Value> format_braces(Interp& in, const Str& format, const CallArgs& args);

// Python's float.__repr__.
std::string repr_double(double value);

// strftime for English names; unknown directives stay as they are (jinja_globals.cpp).
struct LocalTime {
  int year = 1970, month = 1, day = 1;      // month and day from 1
  int hour = 0, minute = 0, second = 0;
  int weekday = 4;                          // 0 is Sunday
  int day_of_year = 1;                      // from 1
};
std::string format_time(const LocalTime& time, std::string_view format);

}  // namespace ponder::core::jinja
