// Models by the names that other programs give them, through the program.
#include "tests/cli/program.h"

using namespace ponder::test;
namespace fs = std::filesystem;

namespace {

// A home folder with a GGUF of Ollama's, one of LM Studio's, a checkpoint in the hub cache and a broken one.
class Home {
 public:
  Home() {
    for (const char* name : {"HOME", "OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"}) {
      const char* value = std::getenv(name);
      before_[name] = value ? value : "";
      ::unsetenv(name);
    }
    ::setenv("HOME", path().c_str(), 1);
    ::setenv("OLLAMA_MODELS", (path() / "ollama").c_str(), 1);
    const std::string hash(64, '7');
    const fs::path gguf = PONDER_TEST_DATA "/gguf/llama3-tiny.bf16.gguf";
    link(gguf, path() / "ollama/blobs" / ("sha256-" + hash));
    link(gguf, path() / ".lmstudio/models/p/q/q-BF16.gguf");
    for (const char* file : {"config.json", "model.safetensors"})
      link(kModels + "qwen2-tiny/" + file, path() / ".cache/huggingface/hub/models--deepseek-ai--tiny/snapshots/1" / file);
    const fs::path manifest = path() / "ollama/manifests/registry.ollama.ai/library/tiny";
    fs::create_directories(manifest);
    folder_.write("ollama/manifests/registry.ollama.ai/library/tiny/8b",
                  R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:)" + hash + "\"}]}");
    fs::create_directories(path() / ".lmstudio/models/p/bad");
    folder_.write(".lmstudio/models/p/bad/bad.gguf", "GGUF");
  }
  ~Home() {
    for (const auto& [name, value] : before_) value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
  }
  fs::path path() const { return folder_.file(""); }

 private:
  static void link(const fs::path& target, const fs::path& name) {
    fs::create_directories(name.parent_path());
    fs::create_symlink(target, name);
  }
  Folder folder_;
  std::map<std::string, std::string> before_;
};

}  // namespace

TEST_CASE("names of Ollama, the hub cache and LM Studio stand for their models in every command") {
  const Home home;
  for (const char* name : {"tiny:8b", "p/q", "p/q:bf16"}) {
    CAPTURE(name);
    const Outcome outcome = run_program({"inspect", "--json", "--model", name});
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.json()["num_hidden_layers"] == 3);
  }
  CHECK(run_program({"run", "--model", "tiny:8b", "--ids", "1,2,3", "-n", "4", "--json"}).json()["usage"]["answer_tokens"] == 4);
  CHECK(run_program({"inspect", "--json", "--model", "deepseek-ai/tiny"}).json()["architecture"] == "Qwen2ForCausalLM");
  const Outcome unknown = run_program({"run", "--model", "tiny:70b", "-p", "x"});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.err.find("no model 'tiny:70b'") != std::string::npos);
}

TEST_CASE("list: what is on this machine, whether it runs, and why not") {
  const Home home;
  const auto list = run_program({"list", "--json"}).json();
  REQUIRE(list.size() == 4);
  CHECK(list[0]["name"] == "tiny:8b");
  CHECK(list[0]["program"] == "ollama");
  CHECK(list[0]["runnable"] == true);
  CHECK(list[0]["bytes"] == fs::file_size(PONDER_TEST_DATA "/gguf/llama3-tiny.bf16.gguf"));
  CHECK(list[1]["name"] == "deepseek-ai/tiny");
  CHECK(list[1]["architecture"] == "Qwen2ForCausalLM");
  CHECK(list[2]["name"] == "p/bad/bad.gguf");
  CHECK(list[2]["runnable"] == false);
  CHECK(list[2]["problem"].get<std::string>().find("bad.gguf") != std::string::npos);
  CHECK(list[3]["name"] == "p/q/q-BF16.gguf");
  const Outcome text = run_program({"list"});
  CHECK(text.exit_code == 0);
  for (const char* part : {"tiny:8b", "deepseek-ai/tiny", "no: ", "yes: "}) CHECK(text.out.find(part) != std::string::npos);
}

TEST_CASE("list: nothing there is an answer, too") {
  const Home home;
  ::setenv("HOME", "/nowhere", 1);
  ::setenv("OLLAMA_MODELS", "/nowhere", 1);
  CHECK(run_program({"list"}).out.find("no models") == 0);
  CHECK(run_program({"list", "--json"}).out == "[]\n");
}
