#include <cstring>
#include <map>

#include "tests/cli/program.h"

using namespace ponder::test;
using nlohmann::json;

namespace {

bool near(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= tolerance + tolerance * std::abs(b[i]))) return false;
  return true;
}

}  // namespace

TEST_CASE("logits: all positions, hidden states, experts and MTP as the goldens have them") {
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "qwen2-tied-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const auto golden = read_tensors(kModels + name + "/golden.safetensors");
    const Folder folder;
    const std::vector<std::int32_t>& ids = golden.at("prompt.2.ids").i32;
    const std::string ids_file = folder.write("ids", comma_separated(ids)), output = folder.file("out.safetensors");
    std::vector<std::string> arguments = {"logits", "--model", kModels + name, "--ids-file", ids_file, "--hidden", "--moe",
                                          "--compute", "exact", "--output", output};
    const bool mtp = golden.contains("mtp.logits");
    if (mtp) arguments.insert(arguments.end(), {"--mtp-next-ids", comma_separated(golden.at("mtp.ids_next").i32)});
    const Outcome outcome = run_program(arguments);
    CAPTURE(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    const auto got = read_tensors(output);
    const float tolerance = std::strcmp(name, "v3-fp8-tiny") == 0 ? 5e-4f : 2e-4f;
    CHECK(got.at("ids").i32 == ids);
    for (const auto& [tensor_name, tensor] : golden) {
      const std::string as_written = tensor_name == "prompt.2.logits" ? "logits" : tensor_name;
      const bool wanted = as_written == "logits" || as_written == "mtp.logits" || as_written.starts_with("hidden.") ||
                          as_written.starts_with("moe.");
      if (!wanted) continue;
      CAPTURE(as_written);
      REQUIRE(got.contains(as_written));
      CHECK(got.at(as_written).shape == tensor.shape);
      CHECK(got.at(as_written).i32 == tensor.i32);
      CHECK(near(got.at(as_written).f32, tensor.f32, tolerance));
    }
    for (const auto& [tensor_name, tensor] : got)
      if (tensor_name.starts_with("moe.")) CHECK(golden.contains(tensor_name));  // none on a dense model
  }
}

TEST_CASE("logits --last: the last position alone") {
  const auto golden = read_tensors(kModels + "v3-tiny/golden.safetensors");
  const Folder folder;
  const Outcome outcome = run_program({"logits", "--model", kModels + "v3-tiny", "--ids",
                                  comma_separated(golden.at("prompt.3.ids").i32), "--last", "--output", folder.file("o")});
  REQUIRE(outcome.exit_code == 0);
  const auto got = read_tensors(folder.file("o"));
  CHECK(got.at("logits").shape == golden.at("prompt.3.logits_last").shape);
  CHECK(near(got.at("logits").f32, golden.at("prompt.3.logits_last").f32, 2e-4f));
}

TEST_CASE("logits: an unknown id, no id and a folder that cannot be written are named") {
  const Folder folder;
  CHECK(run_program({"logits", "--model", kModels + "v3-tiny", "--ids", "5000", "--output", folder.file("o")}).err.find("5000") !=
        std::string::npos);
  CHECK(run_program({"logits", "--model", kModels + "v3-tiny", "--ids", "", "--output", folder.file("o")}).exit_code != 0);
  CHECK(run_program({"logits", "--model", kModels + "v3-tiny", "--ids", "1", "--output", "/nowhere/o"}).err.find("/nowhere/o") !=
        std::string::npos);
}

TEST_CASE("inspect: architecture, parameters, bytes and the memory plan") {
  const json shown = run_program({"inspect", "--model", kTinyR1, "--json", "--context", "256"}).json();
  CAPTURE(shown.dump());
  CHECK(shown["architecture"] == "DeepseekV3ForCausalLM");
  CHECK(shown["parameters"] == 1032416);
  CHECK(shown["active_parameters"].get<int>() < 1032416);
  CHECK(shown["kv_values_per_token_and_layer"] == 48 + 16);
  CHECK(shown["kv_bytes_per_token"] == (48 + 16) * 3 * (shown["kv_dtype"] == "F32" ? 4 : 2));
  const json& plan = shown["memory_plan"];
  CHECK(plan["context_length"] == 256);
  CHECK(plan["kv_cache"] == 256 * shown["kv_bytes_per_token"].get<int>());
  CHECK(plan["total"] == plan["weights"].get<int>() + plan["kv_cache"].get<int>() + plan["scratch"].get<int>() +
                             plan["other"].get<int>());
  CHECK(run_program({"inspect", "--json"}).json()["parameters"] == 1032416);  // the embedded model
  const Outcome text = run_program({"inspect", "--model", kTinyR1});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("DeepseekV3ForCausalLM") != std::string::npos);
}

TEST_CASE("inspect: what is wrong with a checkpoint is said by name") {
  const Folder folder;
  folder.write("config.json", R"({"architectures":["FooForCausalLM"],"model_type":"foo"})");
  const Outcome outcome = run_program({"inspect", "--model", folder.file("")});
  CHECK(outcome.exit_code != 0);
  CHECK(outcome.err.find("FooForCausalLM") != std::string::npos);
}

TEST_CASE("bench: random weights of a config, and the embedded model, as one JSON object") {
  const json measured = run_program({"bench", "--random-weights", kModels + "v3-fp8-tiny/config.json", "--dtype", "fp8", "-p", "16",
                                "-n", "4", "-r", "1", "-t", "1", "--json"})
                            .json();
  CHECK(measured["threads"] == 1);
  CHECK(measured["prefill_tokens_per_s"]["median"].get<double>() > 0);
  CHECK(measured["decode_tokens_per_s"]["min"].get<double>() > 0);
  CHECK(measured["load_ms"].get<double>() > 0);
  CHECK(measured["peak_rss_bytes"].get<double>() > 0);
  CHECK(run_program({"bench", "-r", "1", "-n", "4"}).exit_code == 0);
}

TEST_CASE("selftest: passes, line by line or as JSON, and up to an instruction set") {
  const Outcome all = run_program({"selftest", "--all"});
  CAPTURE(all.err);
  CHECK(all.exit_code == 0);
  CHECK(all.out.find("ok    matmul_q4_k ") != std::string::npos);
  CHECK(all.out.find(" 0 wrong\n") != std::string::npos);
  CHECK(lines(run_program({"selftest"}).out).size() == 1);
  const Outcome ref = run_program({"selftest", "--json", "--isa", "ref"});
  CHECK(ref.json()["isa"] == "ref");
  CHECK(ref.json()["ok"] == true);
  CHECK(run_program({"selftest", "--isa", "sse9"}).err.find("sse9") != std::string::npos);
}
