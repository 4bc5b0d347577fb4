#include "lib/model/adapter_config.h"

#include <algorithm>
#include <cmath>

#include "lib/base/format.h"

namespace ponder::core {

namespace {

constexpr std::string_view kFile = "adapter_config.json";
constexpr double kMost = 1e6;  // of ranks and alphas

Status wanted(std::string_view key, const Json& found, std::string_view want) {
  return fail(Code::bad_file, "{}: {} is {}, want {}", kFile, key, dump_json(found), want);
}

const Json* given(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value && !value->is_null() ? value : nullptr;
}

Status read_number(const Json& json, std::string_view key, double least, double& out) {
  const Json* value = given(json, key);
  if (!value) return fail(Code::bad_file, "{}: {} is missing", kFile, key);
  if (!value->is_number() || !(value->as_double() >= least) || value->as_double() > kMost)
    return wanted(key, *value, formatted("a number from {} to {}", least, kMost));
  out = value->as_double();
  return {};
}

Status read_flag(const Json& json, std::string_view key, bool& out) {
  const Json* value = given(json, key);
  if (value && !value->is_bool()) return wanted(key, *value, "true or false");
  out = value && value->as_bool();
  return {};
}

}  // namespace

Status AdapterConfig::parse_pattern(const Json& json, std::string_view key, std::vector<Override>& out) {
  const Json* value = given(json, key);
  if (!value) return {};
  if (!value->is_object()) return wanted(key, *value, "an object");
  for (const auto& [name, number] : value->as_object()) {
    if (!number.is_number() || !(number.as_double() > 0) || number.as_double() > kMost)
      return wanted(formatted("{}[\"{}\"]", key, name), number, formatted("a number above 0, at most {}", kMost));
    Override entry{name, nullptr, number.as_double()};
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    });
    if (!plain) {
      const bool whole = name.starts_with('^');
      auto regex = Pattern::regex(whole ? formatted("\\A(?:{})\\z", name.substr(1)) : formatted("\\A(?:.*\\.)?(?:{})\\z", name));
      if (!regex.ok()) return std::move(regex).status().with_prefix(formatted("{}: {}[\"{}\"]", kFile, key, name));
      entry.regex = std::move(*regex);
    }
    out.push_back(std::move(entry));
  }
  return {};
}

Result<bool> AdapterConfig::Override::matches(std::string_view name) const {
  if (!regex) return name == key || (name.ends_with(key) && name[name.size() - key.size() - 1] == '.');
  PONDER_ASSIGN(const std::unique_ptr<Pattern::Scratch> scratch, regex->make_scratch());
  std::vector<TextSpan> matches;
  PONDER_TRY(regex->find_all(name, *scratch, matches));
  return !matches.empty();
}

Result<AdapterConfig> AdapterConfig::parse(const Json& json) {
  if (!json.is_object()) return fail(Code::bad_file, "{} is a {}, want an object", kFile, json.type_name());
  const Json* type = given(json, "peft_type");
  if (!type || !type->is_string() || type->as_string() != "LORA")
    return fail(Code::unsupported, "{}: peft_type is {}, only \"LORA\" is supported", kFile, type ? dump_json(*type) : "missing");
  for (const std::string_view key : {"use_dora", "fan_in_fan_out", "lora_bias"}) {
    bool set = false;
    PONDER_TRY(read_flag(json, key, set));
    if (set) return fail(Code::unsupported, "{}: {} is not supported", kFile, key);
  }
  for (const std::string_view key : {"modules_to_save", "layer_replication", "trainable_token_indices"}) {
    const Json* value = given(json, key);
    if (value && !(value->is_array() && value->as_array().empty()))
      return fail(Code::unsupported, "{}: {} is not supported", kFile, key);
  }
  if (const Json* bias = given(json, "bias"); bias && *bias != Json("none"))
    return fail(Code::unsupported, "{}: bias is {}, only \"none\" is supported", kFile, dump_json(*bias));
  // These start from changed base weights, which the adapter alone does not have.
  if (const Json* init = given(json, "init_lora_weights"); init && init->is_string())
    for (const std::string_view kind : {"pissa", "olora", "corda", "loftq"})
      if (init->as_string().starts_with(kind))
        return fail(Code::unsupported, "{}: init_lora_weights {} changes the base; save the adapter converted to plain LoRA", kFile,
                    init->as_string());
  AdapterConfig config;
  double rank = 0;
  PONDER_TRY(read_number(json, "r", 1, rank));
  if (rank != std::floor(rank)) return wanted("r", *json.find("r"), "a whole number");
  config.rank_ = static_cast<std::int64_t>(rank);
  PONDER_TRY(read_number(json, "lora_alpha", 0, config.alpha_));
  PONDER_TRY(read_flag(json, "use_rslora", config.use_rslora_));
  PONDER_TRY(parse_pattern(json, "rank_pattern", config.rank_pattern_));
  PONDER_TRY(parse_pattern(json, "alpha_pattern", config.alpha_pattern_));
  return config;
}

Result<AdapterConfig::Layer> AdapterConfig::layer(std::string_view name) const {
  double rank = static_cast<double>(rank_), alpha = alpha_;
  const auto apply = [&](const std::vector<Override>& overrides, double& value) -> Status {
    for (const Override& entry : overrides) {
      PONDER_ASSIGN(const bool matches, entry.matches(name));
      if (!matches) continue;
      value = entry.value;
      return {};
    }
    return {};
  };
  PONDER_TRY(apply(rank_pattern_, rank));
  PONDER_TRY(apply(alpha_pattern_, alpha));
  return Layer{static_cast<std::int64_t>(rank), alpha / (use_rslora_ ? std::sqrt(rank) : rank)};
}

}  // namespace ponder::core
