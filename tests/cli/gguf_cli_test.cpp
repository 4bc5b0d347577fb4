// The program on GGUF files.
#include <cmath>

#include "tests/cli/program.h"

using namespace ponder::test;

namespace {
const std::string kGguf = PONDER_TEST_DATA "/gguf/";
}

TEST_CASE("a GGUF file: inspect shows its block types, logits are those of the golden, run and bench take it") {
  const auto shown = run_program({"inspect", "--model", kGguf + "llama3-kq-tiny.gguf", "--json"}).json();
  CHECK(shown["architecture"] == "LlamaForCausalLM");
  CHECK(shown["torch_dtype"] == "Q4_K");  // the files do not say what the weights once were
  CHECK(shown["weight_type"] == "Q4_K");
  for (const char* type : {"Q4_K", "Q5_K", "Q6_K", "Q5_0", "F32"}) CHECK(shown["bytes_by_dtype"].contains(type));
  CHECK(shown["warnings"].empty());

  const auto golden = read_tensors(kGguf + "llama3-kq-tiny.golden.safetensors");
  const Folder folder;
  REQUIRE(run_program({"logits", "--model", kGguf + "llama3-kq-tiny.gguf", "--ids", comma_separated(golden.at("prompt.1.ids").i32),
                       "--compute", "exact", "--output", folder.file("o")}).exit_code == 0);
  const auto got = read_tensors(folder.file("o")).at("logits").f32, want = golden.at("prompt.1.logits").f32;
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(std::abs(got[i] - want[i]) <= 5e-4f + 5e-4f * std::abs(want[i]));

  const auto reply = run_program({"run", "--model", kGguf + "v3-tiny.bf16.gguf", "--ids", "5,6,7", "-n", "3", "--json"});
  CHECK(reply.exit_code == 0);
  CHECK(run_program({"bench", "--model", kGguf + "qwen2-tiny.bf16.gguf", "-r", "1", "-p", "8", "-n", "4"}).exit_code == 0);
}

TEST_CASE("a GGUF file: its tokenizer tokenizes, a template it lacks is missed by name") {
  const std::string vocabulary = PONDER_TEST_BUILD_DATA "/tokenizer/deepseek_llm.gguf";
  CHECK(run_program({"tokenize", "--tokenizer", vocabulary}, "Führer\n").out.starts_with("{\"ids\":[37,100014,71,6245]"));
  const Folder folder;
  const auto outcome = run_program({"template", "--tokenizer", vocabulary, "--messages", folder.write("m", "[]")});
  CHECK(outcome.exit_code != 0);
  CHECK(outcome.err.find("no tokenizer.chat_template") != std::string::npos);
}

TEST_CASE("a GGUF file that is not there, or is none, is told by name") {
  CHECK(run_program({"inspect", "--model", "/no/such.gguf"}).err.find("/no/such.gguf: no such file") != std::string::npos);
  const Folder folder;
  const auto outcome = run_program({"inspect", "--model", folder.write("x.gguf", "GGML")});
  CHECK(outcome.exit_code != 0);
  CHECK(outcome.err.find("x.gguf") != std::string::npos);
}
