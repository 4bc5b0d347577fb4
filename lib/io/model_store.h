// Models that other programs keep on this machine, by the names that those programs give them: Ollama's manifests and blobs,
// the Hugging Face hub cache, LM Studio's folder. Nothing is downloaded, copied or changed; weights are read where they lie.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace ponder::core {

struct ModelFolders {
  std::vector<std::filesystem::path> ollama;        // each with "manifests" and "blobs"
  std::vector<std::filesystem::path> hugging_face;  // hub caches, each with "models--ORGANISATION--NAME"
  std::vector<std::filesystem::path> lm_studio;     // each with PUBLISHER/MODEL/*.gguf
};

// By the environment variables that the programs obey, else where they keep models by default:
// OLLAMA_MODELS; HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME; LM Studio's home pointer. `variable` is "" for one that is not set.
ModelFolders model_folders(const std::function<std::string(const char*)>& variable);

// The folder or GGUF file (the first part of a split one) that `name` stands for:
//   a path that exists; of a folder without config.json the GGUF file in it
//   MODEL[:TAG], NAMESPACE/MODEL[:TAG], HOST/NAMESPACE/MODEL[:TAG]   of Ollama; without TAG "latest"
//   ORGANISATION/NAME[@REVISION]                                     of the hub cache; without REVISION "main"
//   PUBLISHER/MODEL                                                  of LM Studio
// Where such a model has several GGUF files, NAME/FILE.gguf or NAME:QUANTISATION ("Q4_K_M") says which.
// not_found lists where it was looked for; bad_file and unsupported name what was found.
Result<std::filesystem::path> resolve_model(std::string_view name, const ModelFolders& folders);

struct FoundModel {
  std::string name;     // resolve_model() takes it
  std::string program;  // "ollama", "huggingface" or "lmstudio"
  std::filesystem::path path;
  std::int64_t n_bytes = 0;  // of its weights
  std::string problem;       // why it cannot be resolved; empty: it can
};

// All of them, by program and name. What cannot be read is left out, or in with its problem.
std::vector<FoundModel> list_models(const ModelFolders& folders);

}  // namespace ponder::core
