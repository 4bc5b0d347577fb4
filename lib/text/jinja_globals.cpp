// Global functions, and the methods of lists, dicts, loops and cyclers.
#include <algorithm>
#include <array>
#include <limits>

#include "lib/base/local_time.h"
#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_interp.h"

namespace ponder::core::jinja {

Result<std::int64_t> Interp::as_index(const Value& value, std::string_view what) const {
  if (value.is_undefined()) return error("{}", value.text());
  if (!value.is_integral()) return error("{} wants an int, found {}", what, type_name(value));
  return value.as_integer();
}

Result<const Str*> Interp::as_str(const Value& value, std::string_view what) const {
  if (value.is_undefined()) return error("{}", value.text());
  if (!value.is_string()) return error("{} wants a str, found {}", what, type_name(value));
  return &value.str();
}

Result<Values> Interp::bind(std::string_view function, const CallArgs& args,
                            std::initializer_list<std::string_view> names, std::size_t n_required) {
  if (args.positional.size() > names.size())
    return error("{} takes at most {} arguments, {} were given", function, names.size(), args.positional.size());
  Values bound = args.positional;
  bound.resize(names.size());
  for (const auto& [name, value] : args.named) {
    const auto at = static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    if (at == names.size()) return error("{} has no argument '{}'", function, name);
    if (!bound[at].is_missing()) return error("{}: the argument '{}' is given twice", function, name);
    bound[at] = value;
  }
  for (std::size_t i = 0; i < n_required; ++i)
    if (bound[i].is_missing()) return error("{} wants an argument '{}'", function, *(names.begin() + i));
  return bound;
}

std::string format_time(const LocalTime& t, std::string_view format) {
  static constexpr const char* kDays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
  static constexpr const char* kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                            "July",    "August",   "September", "October", "November", "December"};
  const std::string day = kDays[t.weekday % 7], month = kMonths[(t.month + 11) % 12];
  const int hour12 = t.hour % 12 == 0 ? 12 : t.hour % 12;
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const bool unpadded = format[i + 1] == '-' && i + 2 < format.size();  // %-d: a common extension
    if (unpadded) ++i;
    const auto number = [&](int value, int width) { out += formatted("{:0{}}", value, unpadded ? 1 : width); };
    switch (format[++i]) {
      case 'Y': number(t.year, 1); break;
      case 'y': number(t.year % 100, 2); break;
      case 'm': number(t.month, 2); break;
      case 'd': number(t.day, 2); break;
      case 'e': out += formatted("{:{}}", t.day, unpadded ? 1 : 2); break;
      case 'H': number(t.hour, 2); break;
      case 'I': number(hour12, 2); break;
      case 'M': number(t.minute, 2); break;
      case 'S': number(t.second, 2); break;
      case 'f': out += "000000"; break;
      case 'j': number(t.day_of_year, 3); break;
      case 'p': out += t.hour < 12 ? "AM" : "PM"; break;
      case 'A': out += day; break;
      case 'a': out += day.substr(0, 3); break;
      case 'B': out += month; break;
      case 'b':
      case 'h': out += month.substr(0, 3); break;
      case 'w': out += formatted("{}", t.weekday); break;
      case 'u': out += formatted("{}", t.weekday == 0 ? 7 : t.weekday); break;
      case 'F': out += formatted("{}-{:02}-{:02}", t.year, t.month, t.day); break;
      case 'T': out += formatted("{:02}:{:02}:{:02}", t.hour, t.minute, t.second); break;
      case 'R': out += formatted("{:02}:{:02}", t.hour, t.minute); break;
      case 'D': out += formatted("{:02}/{:02}/{:02}", t.month, t.day, t.year % 100); break;
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case '%': out += '%'; break;
      default: out += unpadded ? "%-" : "%"; out += format[i];
    }
  }
  return out;
}

namespace {

constexpr std::int64_t kMaxRange = 100000;  // the sandbox's MAX_RANGE

Result<Value> range(Interp& in, const Value&, const CallArgs& args) {
  if (!args.named.empty() || args.positional.empty() || args.positional.size() > 3)
    return in.error("range wants 1 to 3 integers");
  std::int64_t given[3] = {0, 0, 1};
  for (std::size_t i = 0; i < args.positional.size(); ++i) {
    PONDER_ASSIGN(given[i], in.as_index(args.positional[i], "range"));
  }
  if (args.positional.size() == 1) std::swap(given[0], given[1]);
  const auto [start, stop, step] = std::to_array(given);
  if (step == 0) return in.error("range: the step cannot be 0");
  const double span = (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  if (span > kMaxRange) return in.error("range: more than {} elements", kMaxRange);
  std::int64_t size = 0;
  if (span > 0) {
    const auto u = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
    const std::uint64_t distance = step > 0 ? u(stop) - u(start) : u(start) - u(stop);
    size = static_cast<std::int64_t>((distance - 1) / (step > 0 ? u(step) : 0 - u(step)) + 1);
  }
  PONDER_ASSIGN(Range * made, in.make<Range>(start, stop, step, size));
  return Value::object(made);
}

// The pairs that dict(...) and namespace(...) are given.
template <class Add>
Status for_each_pair(Interp& in, const char* function, const CallArgs& args, const Add& add) {
  if (args.positional.size() > 1) return in.error("{} takes at most 1 positional argument", function);
  if (!args.positional.empty()) {
    if (const Dict* dict = args.positional[0].as<Dict>()) {
      for (const auto& [key, value] : dict->members) PONDER_TRY(add(key, value));
    } else {
      PONDER_ASSIGN(const Values pairs, in.iterate(args.positional[0]));
      for (const Value& pair : pairs) {
        PONDER_ASSIGN(const Values two, in.iterate(pair));
        if (two.size() != 2) return in.error("{} wants pairs, found {} elements", function, two.size());
        PONDER_TRY(add(two[0], two[1]));
      }
    }
  }
  for (const auto& [name, value] : args.named) {
    PONDER_ASSIGN(const Value key, in.string(std::string(name)));
    PONDER_TRY(add(key, value));
  }
  return {};
}

Result<Value> make_dict(Interp& in, const Value&, const CallArgs& args) {
  PONDER_ASSIGN(Dict * dict, in.make<Dict>());
  const auto add = [&](const Value& key, const Value& value) { return in.add_member(*dict, key, value); };
  PONDER_TRY(for_each_pair(in, "dict", args, add));
  return Value::object(dict);
}

Result<Value> make_namespace(Interp& in, const Value&, const CallArgs& args) {
  PONDER_ASSIGN(Names * names, in.make<Names>());
  const auto add = [&](const Value& key, const Value& value) -> Status {
    PONDER_ASSIGN(const Str* name, in.as_str(key, "namespace"));
    PONDER_TRY(in.use(1 + names->members.size() / 8));
    for (auto& [other, old] : names->members)
      if (other->text == name->text) {
        old = value;
        return {};
      }
    names->members.emplace_back(key.str_ptr(), value);
    return {};
  };
  PONDER_TRY(for_each_pair(in, "namespace", args, add));
  return Value::object(names);
}

Result<Value> raise_exception(Interp& in, const Value&, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("raise_exception", args, {"message"}, 1));
  TextBuilder text;
  PONDER_TRY(in.print(text, bound[0]));
  return in.error("the template refuses the input: {}", text.text().substr(0, 2000));
}

Result<Value> strftime_now(Interp& in, const Value&, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("strftime_now", args, {"format"}, 1));
  PONDER_ASSIGN(const Str* format, in.as_str(bound[0], "strftime_now"));
  const std::tm now = local_time_now();
  const LocalTime time{now.tm_year + 1900, now.tm_mon + 1, now.tm_mday, now.tm_hour,
                       now.tm_min,         now.tm_sec,     now.tm_wday, now.tm_yday + 1};
  return in.string(format_time(time, format->text), !format->taint.empty());
}

Result<Value> make_cycler(Interp& in, const Value&, const CallArgs& args) {
  if (args.positional.empty() || !args.named.empty()) return in.error("cycler wants at least one item");
  PONDER_ASSIGN(Cycler * cycler, in.make<Cycler>(args.positional));
  return Value::object(cycler);
}

Result<Value> make_joiner(Interp& in, const Value&, const CallArgs& args) {
  PONDER_ASSIGN(Values bound, in.bind("joiner", args, {"sep"}));
  if (bound[0].is_missing()) {
    PONDER_ASSIGN(bound[0], in.string(", "));
  }
  PONDER_ASSIGN(Joiner * joiner, in.make<Joiner>(bound[0]));
  return Value::object(joiner);
}

Result<Value> view(Interp& in, const Value& self, const CallArgs& args, SequenceKind form) {
  PONDER_TRY(Status(in.bind("this method", args, {}).status()));
  Values items;
  for (const auto& [key, value] : self.as<Dict>()->members) {
    if (form != SequenceKind::items) {
      items.push_back(form == SequenceKind::keys ? key : value);
      continue;
    }
    PONDER_ASSIGN(Value pair, in.sequence({key, value}, SequenceKind::tuple));
    items.push_back(std::move(pair));
  }
  return in.sequence(std::move(items), form);
}

Result<Value> dict_get(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("get", args, {"key", "default"}, 1));
  PONDER_TRY(in.use(self.as<Dict>()->members.size() / 8));
  for (const auto& [key, value] : self.as<Dict>()->members) {
    PONDER_ASSIGN(const bool same, in.equal(key, bound[0]));
    if (same) return value;
  }
  return bound[1].is_missing() ? Value::none() : bound[1];
}

Result<Value> dict_copy(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("copy", args, {}).status()));
  PONDER_ASSIGN(Dict * dict, in.make<Dict>());
  PONDER_TRY(in.use(self.as<Dict>()->members.size() / 16));
  dict->members = self.as<Dict>()->members;
  return Value::object(dict);
}

Result<Value> list_copy(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("copy", args, {}).status()));
  return in.sequence(self.as<Sequence>()->items);
}

Result<Value> list_count(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("count", args, {"value"}, 1));
  std::int64_t n = 0;
  for (const Value& item : self.as<Sequence>()->items) {
    PONDER_ASSIGN(const bool same, in.equal(item, bound[0]));
    n += same;
  }
  return Value::integer(n);
}

Result<Value> list_index(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("index", args, {"value"}, 1));
  std::int64_t n = 0;
  for (const Value& item : self.as<Sequence>()->items) {
    PONDER_ASSIGN(const bool same, in.equal(item, bound[0]));
    if (same) return Value::integer(n);
    ++n;
  }
  return in.error("index: the value is not in the list");
}

Result<Value> loop_cycle(Interp& in, const Value& self, const CallArgs& args) {
  if (args.positional.empty() || !args.named.empty()) return in.error("loop.cycle wants at least one item");
  return args.positional[self.as<LoopObject>()->index % args.positional.size()];
}

Result<Value> loop_changed(Interp& in, const Value& self, const CallArgs& args) {
  LoopObject& loop = *self.as<LoopObject>();
  PONDER_ASSIGN(Value now, in.sequence(args.positional, SequenceKind::tuple));
  PONDER_ASSIGN(const bool same, in.equal(loop.last_changed, now));
  loop.last_changed = std::move(now);
  return Value::boolean(!same);
}

Result<Value> cycler_next(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("next", args, {}).status()));
  Cycler& cycler = *self.as<Cycler>();
  const std::size_t at = std::exchange(cycler.at, (cycler.at + 1) % cycler.items.size());
  return cycler.items[at];
}

Result<Value> cycler_reset(Interp& in, const Value& self, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("reset", args, {}).status()));
  self.as<Cycler>()->at = 0;
  return Value::none();
}

constexpr NativeFunction kGlobals[] = {
    {"range", range},   {"dict", make_dict},     {"namespace", make_namespace}, {"raise_exception", raise_exception},
    {"cycler", make_cycler}, {"joiner", make_joiner}, {"strftime_now", strftime_now},
};
constexpr NativeFunction kDictMethods[] = {
    {"get", dict_get},
    {"copy", dict_copy},
    {"items", [](Interp& in, const Value& self, const CallArgs& args) { return view(in, self, args, SequenceKind::items); }},
    {"keys", [](Interp& in, const Value& self, const CallArgs& args) { return view(in, self, args, SequenceKind::keys); }},
    {"values", [](Interp& in, const Value& self, const CallArgs& args) { return view(in, self, args, SequenceKind::values); }},
};
constexpr NativeFunction kListMethods[] = {{"count", list_count}, {"index", list_index}, {"copy", list_copy}};
constexpr NativeFunction kLoopMethods[] = {{"cycle", loop_cycle}, {"changed", loop_changed}};
constexpr NativeFunction kCyclerMethods[] = {{"next", cycler_next}, {"reset", cycler_reset}};

}  // namespace

std::span<const NativeFunction> global_functions() { return kGlobals; }

std::span<const NativeFunction> object_methods(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::dict: return kDictMethods;
    case ObjectKind::sequence: return kListMethods;
    case ObjectKind::loop: return kLoopMethods;
    case ObjectKind::cycler: return kCyclerMethods;
    default: return {};
  }
}

bool is_mutator(ObjectKind kind, std::string_view name) {
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  static constexpr std::string_view kList[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  const auto has = [&](std::span<const std::string_view> names) { return std::find(names.begin(), names.end(), name) != names.end(); };
  return kind == ObjectKind::dict ? has(kDict) : kind == ObjectKind::sequence && has(kList);
}

}  // namespace ponder::core::jinja
