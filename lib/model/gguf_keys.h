// What a model is, as the metadata of a GGUF file: the inverse of gguf_config.h, in the form that llama.cpp's converter
// (conversion/*.py) writes today.
#pragma once

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/file_source.h"
#include "lib/io/gguf_writer.h"
#include "lib/model/model.h"

namespace ponder::core {

// "deepseek2", "qwen2" or "llama".
std::string_view gguf_architecture(const Config& config);

// Sizes, rope and router. What the format cannot say is refused, by its key in config.json.
Status add_model_keys(const Config& config, GgufMetadata& metadata);

// Vocabulary, special tokens and chat template: of tokenizer.json and its companions in `source`; of a GGUF file a copy of
// its own, and of its general.* keys. Without a tokenizer the file has none either ("none" as llama.cpp calls it), and
// a warning says so.
Status add_text_keys(const FileSource& source, const Model& model, GgufMetadata& metadata,
                     std::vector<std::string>& warnings);

}  // namespace ponder::core
