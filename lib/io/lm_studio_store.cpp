// LM Studio: PUBLISHER/MODEL/ with GGUF files, or a checkpoint.
#include "lib/io/model_store_parts.h"
#include "lib/io/path_text.h"

namespace ponder::core::store {

Result<std::optional<fs::path>> find_lm_studio(std::string_view name, const fs::path& folder) {
  const std::optional<RepositoryName> parsed = parse_repository(name);
  if (!parsed || parsed->repository.find('/') == std::string::npos) return std::optional<fs::path>();
  return pick_model(folder / to_path(parsed->repository), *parsed);
}

void list_lm_studio(const fs::path& folder, std::vector<FoundModel>& out) {
  for (const std::string& publisher : names_in(folder))
    for (const std::string& model : names_in(folder / to_path(publisher)))
      list_folder(folder / to_path(publisher) / to_path(model), publisher + "/" + model, "lmstudio", out);
}

}  // namespace ponder::core::store
