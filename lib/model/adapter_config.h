// adapter_config.json of PEFT, as far as it says how the tensors are to be used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/json.h"
#include "lib/text/pattern.h"

namespace ponder::core {

class AdapterConfig {
 public:
  struct Layer {
    std::int64_t rank = 0;
    double scale = 0;  // lora_alpha / r; with use_rslora / sqrt(r)
  };
  // unsupported names a setting that changes what the tensors mean and that we do not know.
  static Result<AdapterConfig> parse(const Json& json);
  // Of the linear layer of this name: r and lora_alpha, or what rank_pattern and alpha_pattern say of it.
  Result<Layer> layer(std::string_view name) const;

 private:
  // PEFT takes the first key that matches "(.*\.)?(key)$" from the start of the name, one with ^ in front the whole name.
  struct Override {
    std::string key;
    std::shared_ptr<const Pattern> regex;  // null: key is a plain name
    double value = 0;
    Result<bool> matches(std::string_view name) const;
  };
  static Status parse_pattern(const Json& json, std::string_view key, std::vector<Override>& out);

  std::int64_t rank_ = 0;
  double alpha_ = 0;
  bool use_rslora_ = false;
  std::vector<Override> rank_pattern_, alpha_pattern_;
};

}  // namespace ponder::core
