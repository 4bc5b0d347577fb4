// Filters on lists and dicts. Where Jinja gives a generator these give one too (SequenceKind::iterator).
#include <algorithm>
#include <charconv>

#include "lib/text/jinja_functions.h"
#include "lib/text/jinja_text.h"
#include "lib/text/utf8.h"

namespace ponder::core::jinja {

namespace {

// item.a.0.b for the attribute "a.0.b", item[3] for the attribute 3, the item itself for none.
Result<Value> get_path(Interp& in, const Value& item, const Value& attribute, const Value& otherwise = {}) {
  if (attribute.is_missing() || attribute.is_none()) return item;
  if (attribute.is_integral()) return in.item(item, attribute);
  PONDER_ASSIGN(const Str* path, in.as_str(attribute, "attribute"));
  Value value = item;
  for (std::size_t begin = 0; begin <= path->text.size();) {
    PONDER_TRY(in.use());
    const std::size_t end = std::min(path->text.find('.', begin), path->text.size());
    const std::string_view part = std::string_view(path->text).substr(begin, end - begin);
    std::int64_t number = 0;
    const auto [stop, code] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (code == std::errc() && stop == part.data() + part.size() && number >= 0) {
      PONDER_ASSIGN(value, in.item(value, Value::integer(number)));
    } else {
      PONDER_ASSIGN(const Value key, in.string(std::string(part)));
      PONDER_ASSIGN(value, in.item(value, key));
    }
    if (value.is_undefined() && !otherwise.is_missing()) value = otherwise;
    begin = end + 1;
  }
  return value;
}

Result<Value> folded(Interp& in, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  return change_case(in, value.str(), Case::lower);
}

Result<Value> iterator(Interp& in, Values items) { return in.sequence(std::move(items), SequenceKind::iterator); }

Result<Value> to_list(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("list", args, {}).status()));
  PONDER_ASSIGN(Values items, in.iterate(value));
  return in.sequence(std::move(items));
}

Result<Value> join_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("join", args, {"d", "attribute"}));
  PONDER_ASSIGN(Values items, in.iterate(value));
  for (Value& item : items) {
    PONDER_ASSIGN(item, get_path(in, item, bound[1]));
  }
  PONDER_ASSIGN(const Value separator, in.to_str(bound[0]));
  return join(in, separator.str(), items, true);
}

Result<Value> first(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("first", args, {}).status()));
  if (Sequence* sequence = value.as<Sequence>(); sequence && sequence->form == SequenceKind::iterator) {
    if (sequence->items.empty()) return in.undefined("No first item, sequence was empty.");
    Value item = sequence->items.front();
    sequence->items.erase(sequence->items.begin());
    PONDER_TRY(in.use(sequence->items.size() / 16));
    return item;
  }
  PONDER_ASSIGN(const Values items, in.iterate(value));
  return items.empty() ? in.undefined("No first item, sequence was empty.") : items.front();
}

Result<Value> last(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("last", args, {}).status()));
  if (const Sequence* sequence = value.as<Sequence>(); sequence && sequence->form == SequenceKind::iterator)
    return in.error("last: a generator cannot be reversed");
  if (value.is_undefined()) return in.error("{}", value.text());
  PONDER_ASSIGN(const Values items, in.iterate(value));
  return items.empty() ? in.undefined("No last item, sequence was empty.") : items.back();
}

Result<Value> items_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("items", args, {}).status()));
  Values pairs;
  if (value.is_undefined()) return iterator(in, std::move(pairs));
  const Dict* dict = value.as<Dict>();
  if (!dict) return in.error("items wants a dict, found {}", type_name(value));
  for (const auto& [key, member] : dict->members) {
    PONDER_ASSIGN(Value pair, in.sequence({key, member}, SequenceKind::tuple));
    pairs.push_back(std::move(pair));
  }
  return iterator(in, std::move(pairs));
}

Result<Value> map(Interp& in, const Value& value, const CallArgs& args) {
  Values out;
  if (!Interp::truth(value)) return iterator(in, std::move(out));
  if (args.positional.empty()) {
    PONDER_ASSIGN(const Values bound, in.bind("map", args, {"attribute", "default"}, 1));
    PONDER_ASSIGN(const Values items, in.iterate(value));
    const Value otherwise = bound[1].is_none() ? Value() : bound[1];
    for (const Value& item : items) {
      PONDER_ASSIGN(Value mapped, get_path(in, item, bound[0], otherwise));
      out.push_back(std::move(mapped));
    }
    return iterator(in, std::move(out));
  }
  PONDER_ASSIGN(const Str* name, in.as_str(args.positional[0], "map"));
  const CallArgs rest{{args.positional.begin() + 1, args.positional.end()}, args.named};
  PONDER_ASSIGN(const Values items, in.iterate(value));
  for (const Value& item : items) {
    PONDER_ASSIGN(Value mapped, in.filter(name->text, item, rest));
    out.push_back(std::move(mapped));
  }
  return iterator(in, std::move(out));
}

// select, reject, selectattr, rejectattr.
template <bool keep, bool by_attribute>
Result<Value> select(Interp& in, const Value& value, const CallArgs& args) {
  Values out;
  if (!Interp::truth(value)) return iterator(in, std::move(out));
  constexpr std::size_t n_own = by_attribute ? 1 : 0;
  if (args.positional.size() < n_own) return in.error("selectattr wants the name of an attribute");
  const Str* test = nullptr;
  CallArgs rest{{}, args.named};
  if (args.positional.size() > n_own) {
    PONDER_ASSIGN(test, in.as_str(args.positional[n_own], "select"));
    rest.positional.assign(args.positional.begin() + n_own + 1, args.positional.end());
  }
  PONDER_ASSIGN(const Values items, in.iterate(value));
  for (const Value& item : items) {
    PONDER_ASSIGN(const Value subject, get_path(in, item, by_attribute ? args.positional[0] : Value()));
    bool passes = Interp::truth(subject);
    if (test) {
      PONDER_ASSIGN(passes, in.predicate(test->text, subject, rest));
    }
    PONDER_TRY(in.use());
    if (passes == keep) out.push_back(item);
  }
  return iterator(in, std::move(out));
}

// The sort keys of `attribute`, which may name several: "a,b".
Result<Values> sort_keys(Interp& in, const Values& items, const Value& attribute, bool case_sensitive) {
  Values parts = {attribute};
  if (attribute.is_string() && attribute.text().find(',') != std::string::npos) {
    parts.clear();
    for (std::size_t begin = 0; begin <= attribute.text().size();) {
      PONDER_TRY(in.use());
      const std::size_t end = std::min(attribute.text().find(',', begin), attribute.text().size());
      PONDER_ASSIGN(Value part, in.string(attribute.text().substr(begin, end - begin)));
      parts.push_back(std::move(part));
      begin = end + 1;
    }
  }
  Values keys;
  for (const Value& item : items) {
    Values key;
    for (const Value& part : parts) {
      PONDER_ASSIGN(const Value found, get_path(in, item, part));
      PONDER_ASSIGN(Value folded_key, folded(in, found, case_sensitive));
      key.push_back(std::move(folded_key));
    }
    if (key.size() == 1) {
      keys.push_back(std::move(key[0]));
      continue;
    }
    PONDER_ASSIGN(Value list, in.sequence(std::move(key)));
    keys.push_back(std::move(list));
  }
  return keys;
}

Result<Value> sort(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("sort", args, {"reverse", "case_sensitive", "attribute"}));
  PONDER_ASSIGN(Values items, in.iterate(value));
  PONDER_ASSIGN(const Values keys, sort_keys(in, items, bound[2], Interp::truth(bound[1])));
  PONDER_ASSIGN(Values sorted, in.sorted(std::move(items), keys, Interp::truth(bound[0])));
  return in.sequence(std::move(sorted));
}

Result<Value> dictsort(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("dictsort", args, {"case_sensitive", "by", "reverse"}));
  const Dict* dict = value.as<Dict>();
  if (!dict) return in.error("dictsort wants a dict, found {}", type_name(value));
  const bool by_value = bound[1].is_string() && bound[1].text() == "value";
  if (!by_value && !bound[1].is_missing() && !(bound[1].is_string() && bound[1].text() == "key"))
    return in.error("dictsort sorts by 'key' or by 'value'");
  Values pairs, keys;
  for (const auto& [key, member] : dict->members) {
    PONDER_ASSIGN(Value pair, in.sequence({key, member}, SequenceKind::tuple));
    pairs.push_back(std::move(pair));
    PONDER_ASSIGN(Value sort_key, folded(in, by_value ? member : key, Interp::truth(bound[0])));
    keys.push_back(std::move(sort_key));
  }
  PONDER_ASSIGN(Values sorted, in.sorted(std::move(pairs), keys, Interp::truth(bound[2])));
  return in.sequence(std::move(sorted));
}

Result<Value> unique(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("unique", args, {"case_sensitive", "attribute"}));
  PONDER_ASSIGN(const Values items, in.iterate(value));
  Values out, seen;
  for (const Value& item : items) {
    PONDER_ASSIGN(const Value found, get_path(in, item, bound[1]));
    PONDER_ASSIGN(Value key, folded(in, found, Interp::truth(bound[0])));
    bool is_new = true;
    for (const Value& other : seen) {
      PONDER_ASSIGN(const bool same, in.equal(other, key));
      if (same) is_new = false;
      if (same) break;
    }
    if (!is_new) continue;
    seen.push_back(std::move(key));
    out.push_back(item);
  }
  return iterator(in, std::move(out));
}

template <bool largest>
Result<Value> extreme(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind(largest ? "max" : "min", args, {"case_sensitive", "attribute"}));
  PONDER_ASSIGN(const Values items, in.iterate(value));
  if (items.empty()) return in.undefined("No aggregated item, sequence was empty.");
  Value best, best_key;
  for (const Value& item : items) {
    PONDER_ASSIGN(const Value found, get_path(in, item, bound[1]));
    PONDER_ASSIGN(Value key, folded(in, found, Interp::truth(bound[0])));
    bool better = best.is_missing();
    if (!better) {
      PONDER_ASSIGN(better, in.ordered(largest ? Op::gt : Op::lt, key, best_key));
    }
    if (better) best = item, best_key = std::move(key);
  }
  return best;
}

Result<Value> sum(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("sum", args, {"attribute", "start"}));
  PONDER_ASSIGN(const Values items, in.iterate(value));
  Value total = bound[1].is_missing() ? Value::integer(0) : bound[1];
  if (total.is_string()) return in.error("sum does not add strings; use join");
  for (const Value& item : items) {
    PONDER_ASSIGN(const Value part, get_path(in, item, bound[0]));
    PONDER_ASSIGN(total, in.arithmetic(Op::add, total, part));
  }
  return total;
}

Result<Value> reverse(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_TRY(Status(in.bind("reverse", args, {}).status()));
  if (value.is_string()) return in.slice(value, Value(), Value(), Value::integer(-1));
  if (value.is_undefined()) return in.error("{}", value.text());
  PONDER_ASSIGN(Values items, in.iterate(value));
  std::reverse(items.begin(), items.end());
  return iterator(in, std::move(items));
}

Result<Value> batch(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("batch", args, {"linecount", "fill_with"}, 1));
  PONDER_ASSIGN(const std::int64_t n, in.as_index(bound[0], "batch"));
  PONDER_ASSIGN(const Values items, in.iterate(value));
  Values rows, row;
  const auto flush = [&]() -> Status {
    PONDER_ASSIGN(Value list, in.sequence(std::exchange(row, {})));
    rows.push_back(std::move(list));
    return {};
  };
  for (const Value& item : items) {
    if (static_cast<std::int64_t>(row.size()) == n) PONDER_TRY(flush());
    row.push_back(item);
  }
  if (!row.empty()) {
    const bool fills = !bound[1].is_missing() && !bound[1].is_none();
    while (fills && static_cast<std::int64_t>(row.size()) < n) {
      PONDER_TRY(in.use());
      row.push_back(bound[1]);
    }
    PONDER_TRY(flush());
  }
  return iterator(in, std::move(rows));
}

Result<Value> slice_filter(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("slice", args, {"slices", "fill_with"}, 1));
  PONDER_ASSIGN(const std::int64_t n, in.as_index(bound[0], "slice"));
  PONDER_ASSIGN(const Values items, in.iterate(value));
  if (n == 0) return in.error("division by zero");
  const auto size = static_cast<std::int64_t>(items.size());
  Values columns;
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    PONDER_TRY(in.use());
    const std::int64_t end = at + size / n + (i < size % n);
    Values column(items.begin() + at, items.begin() + end);
    if (!bound[1].is_missing() && !bound[1].is_none() && i >= size % n && size % n != 0) column.push_back(bound[1]);
    at = end;
    PONDER_ASSIGN(Value list, in.sequence(std::move(column)));
    columns.push_back(std::move(list));
  }
  return iterator(in, std::move(columns));
}

// Pairs (grouper, list), sorted by grouper.
Result<Value> groupby(Interp& in, const Value& value, const CallArgs& args) {
  PONDER_ASSIGN(const Values bound, in.bind("groupby", args, {"attribute", "default", "case_sensitive"}, 1));
  const bool case_sensitive = Interp::truth(bound[2]);
  PONDER_ASSIGN(const Values items, in.iterate(value));
  Values order, keys;
  for (std::size_t i = 0; i < items.size(); ++i) {
    PONDER_ASSIGN(const Value found, get_path(in, items[i], bound[0], bound[1].is_none() ? Value() : bound[1]));
    PONDER_ASSIGN(Value key, folded(in, found, case_sensitive));
    order.push_back(Value::integer(static_cast<std::int64_t>(i)));
    keys.push_back(std::move(key));
  }
  PONDER_ASSIGN(const Values sorted, in.sorted(std::move(order), keys, false));
  Values groups, group;
  const Value* group_key = nullptr;
  const auto flush = [&]() -> Status {
    if (group.empty()) return {};
    PONDER_ASSIGN(const Value grouper, get_path(in, group[0], bound[0], bound[1].is_none() ? Value() : bound[1]));
    PONDER_ASSIGN(const Value list, in.sequence(std::exchange(group, {})));
    PONDER_ASSIGN(Value pair, in.sequence({grouper, list}, SequenceKind::tuple));
    groups.push_back(std::move(pair));
    return {};
  };
  for (const Value& index : sorted) {
    const auto i = static_cast<std::size_t>(index.as_integer());
    bool same = false;
    if (group_key) {
      PONDER_ASSIGN(same, in.equal(*group_key, keys[i]));
    }
    if (!same) PONDER_TRY(flush());
    group_key = &keys[i];
    group.push_back(items[i]);
  }
  PONDER_TRY(flush());
  return in.sequence(std::move(groups));
}

constexpr Filter kFilters[] = {
    {"list", to_list},
    {"join", join_filter},
    {"first", first},
    {"last", last},
    {"items", items_filter},
    {"map", map},
    {"select", select<true, false>},
    {"reject", select<false, false>},
    {"selectattr", select<true, true>},
    {"rejectattr", select<false, true>},
    {"sort", sort},
    {"dictsort", dictsort},
    {"unique", unique},
    {"min", extreme<false>},
    {"max", extreme<true>},
    {"sum", sum},
    {"reverse", reverse},
    {"batch", batch},
    {"slice", slice_filter},
    {"groupby", groupby},
};

}  // namespace

std::span<const Filter> list_filters() { return kFilters; }

}  // namespace ponder::core::jinja
