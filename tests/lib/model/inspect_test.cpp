// What inspect says, against numbers computed by hand from the official config.json files.
#include <doctest/doctest.h>

#include <numeric>
#include <string>

#include "lib/io/mapped_file.h"
#include "tests/lib/model/editable_checkpoint.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

ModelInspection inspect_official(const std::string& name) {
  auto text = read_file(std::string(PONDER_TEST_DATA "/../../benchmarks/model/configs/") + name + ".json", 1 << 20);
  REQUIRE(text.ok());
  const auto inspection = Model::inspect(*source_of({{"config.json", *text}}));
  REQUIRE_MESSAGE(inspection.ok(), inspection.status().message());
  return *inspection;
}

std::int64_t bytes_of(const std::vector<std::pair<std::string, std::int64_t>>& list, std::string_view name) {
  for (const auto& [entry, bytes] : list)
    if (entry == name) return bytes;
  return 0;
}

}  // namespace

// 129280 x 7168 embedding and head; 61 layers of MLA with 187.11 M; 3 dense layers of 3 x 7168 x 18432; 58 MoE layers of
// 256 + 1 experts of 3 x 7168 x 2048, of which 8 + 1 are active.
TEST_CASE("inspect: DeepSeek-R1 has 671.03 B parameters, 37.55 B of them active, without the MTP layer") {
  const ModelInspection r1 = inspect_official("deepseek-r1");
  CHECK(r1.summary.n_parameters == 671'026'419'200);
  CHECK(r1.summary.n_active_parameters == 37'552'297'472);
  CHECK(r1.summary.kv_bytes_per_token == 4 * 61 * 576);
  CHECK(r1.report.warnings.size() == 1);
  const auto& components = r1.summary.bytes_by_component;
  CHECK(bytes_of(components, "embedding") == 2 * 129280ll * 7168);
  CHECK(bytes_of(components, "router") == 58ll * (2 * 256 * 7168 + 4 * 256));
  // One scale for 128 x 128 codes: 16 x 56 blocks in each of an expert's three matrices.
  CHECK(bytes_of(components, "routed_experts") == 58ll * 256 * 3 * (2048 * 7168 + 4 * 16 * 56));
  CHECK(bytes_of(components, "dense_ffn") == 3ll * 3 * (18432 * 7168 + 4 * 144 * 56));
  CHECK(bytes_of(r1.summary.bytes_by_dtype, "F8_E4M3") > 600'000'000'000);
  std::int64_t sum = 0;
  for (const auto& [name, bytes] : components) sum += bytes;
  CHECK(sum == r1.summary.weight_bytes);
}

TEST_CASE("inspect: DeepSeek-V2-Lite has 15.71 B parameters, 2.66 B of them active, embedding and head included") {
  const ModelInspection lite = inspect_official("deepseek-v2-lite");
  CHECK(lite.summary.n_parameters == 15'706'484'224);
  CHECK(lite.summary.n_active_parameters == 2'661'150'208);
  CHECK(lite.summary.weight_bytes == 2 * 15'706'484'224);
  CHECK(lite.summary.kv_bytes_per_token == 4 * 27 * 576);
}

TEST_CASE("inspect: R1-Distill-Qwen-1.5B has 1.78 B parameters, all active") {
  const ModelInspection qwen = inspect_official("deepseek-r1-distill-qwen-1.5b");
  CHECK(qwen.summary.n_parameters == 1'777'088'000);
  CHECK(qwen.summary.n_active_parameters == 1'777'088'000);
  CHECK(qwen.summary.kv_bytes_per_token == 4 * 28 * 512);
}

TEST_CASE("inspect: what config.json promises is what the fixtures hold") {
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const auto folder = folder_source(std::string(PONDER_TEST_DATA "/models/") + name);
    const auto real = Model::inspect(*folder);
    const auto promised = Model::inspect(*source_of({{"config.json", std::string(folder->open("config.json")->text())}}));
    REQUIRE(real.ok());
    REQUIRE(promised.ok());
    CHECK(promised->summary.n_parameters == real->summary.n_parameters);
    CHECK(promised->summary.n_active_parameters == real->summary.n_active_parameters);
    CHECK(promised->summary.weight_bytes == real->summary.weight_bytes);
    CHECK(promised->summary.bytes_by_component == real->summary.bytes_by_component);
  }
}
