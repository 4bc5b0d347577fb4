// Models that are on this machine, by the names that other programs give them.
#include <cstdlib>

#include "capi/values.h"
#include "lib/base/format.h"
#include "lib/io/model_store.h"
#include "lib/io/path_text.h"

namespace {

using namespace ponder;
using core::Json;
using core::Status;

core::ModelFolders folders_of_environment() {
  return core::model_folders([](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  });
}

Json describe(const core::FoundModel& found) {
  Json::Object json{{"name", found.name}, {"program", found.program}, {"path", core::to_text(found.path)},
                    {"bytes", found.n_bytes}};
  std::string problem = found.problem;
  if (problem.empty()) {
    const auto inspected = core::Model::inspect(*core::path_source(found.path));
    if (inspected.ok()) {
      json.emplace_back("architecture", inspected->config.architecture_name);
      json.emplace_back("parameters", inspected->summary.n_parameters);
    } else {
      problem = inspected.status().message();
    }
  }
  json.emplace_back("runnable", problem.empty());
  if (!problem.empty()) json.emplace_back("problem", problem);
  return json;
}

}  // namespace

ponder_status PONDER_CALL ponder_model_resolve(const char* name, ponder_buffer** out_path, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_path", out_path}}));
    *out_path = nullptr;
    PONDER_TRY(capi::need({{"name", name}}));
    PONDER_ASSIGN(const std::filesystem::path path, core::resolve_model(name, folders_of_environment()));
    *out_path = capi::new_buffer(core::to_text(path));
    return {};
  });
}

ponder_status PONDER_CALL ponder_model_list(ponder_buffer** out_json, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_json", out_json}}));
    *out_json = nullptr;
    Json::Array list;
    for (const core::FoundModel& found : core::list_models(folders_of_environment())) list.push_back(describe(found));
    *out_json = capi::new_buffer(core::dump_json(Json(std::move(list))));
    return {};
  });
}
