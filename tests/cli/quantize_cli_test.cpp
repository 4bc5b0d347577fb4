// ponder quantize.
#include "tests/cli/program.h"

using namespace ponder::test;

TEST_CASE("quantize: the file runs, and inspect names its types") {
  const Folder folder;
  const std::string file = folder.file("tiny.gguf");
  const Outcome made = run_program({"quantize", "-m", kTinyR1, "--type", "q8_0", "-o", file});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  CHECK(lines(made.out).front().starts_with(file + ": 1.1"));
  CHECK(made.out.find("  Q8_0     ") != std::string::npos);
  const auto json = run_program({"inspect", "-m", file, "--json"}).json();
  CHECK(json["parameters"] == 1032416);
  CHECK(json["bytes_by_dtype"].contains("Q8_0"));
  const std::vector<std::string> question{"run", "-p", "What is 347+85?", "--temperature", "0", "--json", "-m"};
  const auto ask = [&](const std::string& model) {
    std::vector<std::string> arguments = question;
    arguments.push_back(model);
    return run_program(arguments).json();
  };
  CHECK(ask(file)["answer"] == ask(kTinyR1)["answer"]);
}

TEST_CASE("quantize: the report as JSON, warnings on standard error without it") {
  const Folder folder;
  const Outcome json = run_program({"quantize", "-m", kTinyR1, "-o", folder.file("a.gguf"), "--json"});
  REQUIRE(json.exit_code == 0);
  CHECK(json.json()["n_tensors"] == 52);
  CHECK(!json.json()["warnings"].empty());  // rows of 48 and 96 are no whole blocks of Q4_K
  const Outcome text = run_program({"quantize", "-m", kTinyR1, "-o", folder.file("b.gguf")});
  CHECK(text.err.find("warning: blk.*.attn_k_b.weight: rows of 16 are no whole blocks, written as F16") != std::string::npos);
  CHECK(text.err.find('\r') == std::string::npos);  // no bar without a terminal
}

TEST_CASE("--weight-type: without a file the logits are those of the file that quantize writes") {
  const Folder folder;
  REQUIRE(run_program({"quantize", "-m", kTinyR1, "--type", "q4_k_m", "-o", folder.file("tiny.gguf")}).exit_code == 0);
  const auto logits = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--ids", "1,2,3,4,5", "--compute", "exact", "--output", folder.file("o")});
    arguments.insert(arguments.begin(), "logits");
    const Outcome outcome = run_program(arguments);
    REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
    return read_file(folder.file("o"));
  };
  const std::string from_file = logits({"-m", folder.file("tiny.gguf")});
  CHECK(logits({"-m", kTinyR1, "--weight-type", "q4_k_m"}) == from_file);
  CHECK(logits({"-m", kTinyR1}) != from_file);
  CHECK(logits({"--weight-type", "Q4_K"}) == from_file);  // the embedded model
  const std::string text = folder.write("text", "What is 12+34? 2+4=6, 1+3=4, 12+34=46. What is 7+5? 7+5=12. What is 99+1? 9+1=10");
  const auto compared = run_program({"compare", "-m", kTinyR1, "--weight-type", "q4_k_m", "-r", folder.file("tiny.gguf"), "-f",
                                     text, "-c", "32", "--compute", "exact", "--json"}).json();
  CHECK(compared["kl_divergence"]["max"].get<double>() < 1e-9);
  const Outcome unknown = run_program({"run", "-p", "1+1", "--weight-type", "q9"});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.err.starts_with("ponder: weight_type: type 'q9', want one of f32, "));
}

TEST_CASE("imatrix: a matrix is collected on a text and taken by quantize") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::to_string(i) + "+" + std::to_string(i) + "=" + std::to_string(2 * i) + "\n";
  const std::string matrix = folder.file("imatrix.gguf");
  const Outcome made = run_program({"imatrix", "-m", kTinyR1, "--text", "-", "--chunk", "64", "-o", matrix}, text);
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  CHECK(made.out.starts_with(matrix + ": "));
  const Outcome with = run_program({"quantize", "-m", kTinyR1, "--type", "q4_0", "--imatrix", matrix, "-o", folder.file("a.gguf")});
  CHECK_MESSAGE(with.exit_code == 0, with.err);
  const Outcome without = run_program({"quantize", "-m", kTinyR1, "--type", "q4_0", "-o", folder.file("b.gguf")});
  CHECK(read_file(folder.file("a.gguf")) != read_file(folder.file("b.gguf")));
  const Outcome shorter = run_program({"imatrix", "-m", kTinyR1, "--text", "-", "-o", folder.file("c")}, "1+1");
  CHECK(shorter.exit_code == 1);
  CHECK(shorter.err.find("the text has 3 tokens, want at least a chunk of 511") != std::string::npos);
}

TEST_CASE("quantize: a wrong type, a model that is none and a folder that is not there are said in a line") {
  const Folder folder;
  const Outcome type = run_program({"quantize", "-m", kTinyR1, "--type", "q9", "-o", folder.file("a.gguf")});
  CHECK(type.exit_code == 1);
  CHECK(type.err.starts_with("ponder: type 'q9', want one of f32, "));
  const Outcome model = run_program({"quantize", "-m", folder.file("none"), "-o", folder.file("a.gguf")});
  CHECK(model.exit_code == 1);
  CHECK(model.err.find("none") != std::string::npos);
  const Outcome output = run_program({"quantize", "-m", kTinyR1, "-o", folder.file("none/a.gguf")});
  CHECK(output.exit_code == 1);
  CHECK(output.err.find("none/a.gguf: cannot create a temporary file beside it") != std::string::npos);
  CHECK(run_program({"quantize", "-m", kTinyR1}).exit_code != 0);
}
