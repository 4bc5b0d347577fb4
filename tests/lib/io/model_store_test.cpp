#include "lib/io/model_store.h"

#include <doctest/doctest.h>

#include <map>

#include "lib/io/mapped_file.h"
#include "lib/io/path_text.h"
#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;
using ponder::test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::string kHash(64, 'a'), kOther(64, 'b');

class Machine {  // with a home folder of its own
 public:
  fs::path home() const { return temporary_.path(); }
  fs::path write(const std::string& name, std::string_view text = "x") const {
    const fs::path path = home() / name;
    fs::create_directories(path.parent_path());
    REQUIRE(write_file(path, as_bytes(text)).ok());
    return path;
  }
  std::string manifest(const std::string& hash, int size) const {
    return R"({"schemaVersion": 2, "layers": [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:c"},)"
           R"({"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:)" +
           hash + R"(", "size": )" + std::to_string(size) + "}]}";
  }
  ModelFolders folders(std::map<std::string, std::string> variables = {}) const {
    variables.try_emplace("HOME", home().string());
    ModelFolders folders = model_folders([&](const char* name) { return variables[name]; });
    std::erase(folders.ollama, fs::path("/usr/share/ollama/.ollama/models"));  // of the machine that runs the tests
    return folders;
  }
  // The path below the home folder that a name stands for, or the status.
  std::string resolve(std::string_view name) const {
    const auto path = resolve_model(name, folders());
    if (!path.ok()) return path.status().message();
    const std::u8string relative = path->lexically_relative(home()).generic_u8string();
    return {relative.begin(), relative.end()};
  }

 private:
  TemporaryFolder temporary_;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("model store: folders follow the variables that the programs obey") {
  const auto folders = [](std::map<std::string, std::string> v) { return model_folders([&](const char* name) { return v[name]; }); };
  CHECK(folders({{"HOME", "/h"}}).ollama.front() == fs::path("/h/.ollama/models"));
  CHECK(folders({{"HOME", "/h"}, {"OLLAMA_MODELS", "/o"}}).ollama == std::vector<fs::path>{"/o"});
  CHECK(folders({{"HOME", "/h"}}).hugging_face == std::vector<fs::path>{"/h/.cache/huggingface/hub"});
  CHECK(folders({{"XDG_CACHE_HOME", "/c"}}).hugging_face == std::vector<fs::path>{"/c/huggingface/hub"});
  CHECK(folders({{"HF_HOME", "/f"}, {"XDG_CACHE_HOME", "/c"}}).hugging_face == std::vector<fs::path>{"/f/hub"});
  CHECK(folders({{"HF_HUB_CACHE", "/u"}, {"HF_HOME", "/f"}}).hugging_face == std::vector<fs::path>{"/u"});
  CHECK(folders({{"USERPROFILE", "/w"}}).lm_studio.front() == fs::path("/w/.lmstudio/models"));
  CHECK(folders({}).hugging_face.empty());
}

TEST_CASE("model store: LM Studio's folder may have been moved") {
  const Machine machine;
  machine.write(".lmstudio-home-pointer", to_text(machine.home() / "moved") + "\n");
  machine.write("moved/models/p/m/m-Q8_0.gguf");
  CHECK(machine.resolve("p/m") == "moved/models/p/m/m-Q8_0.gguf");
}

TEST_CASE("model store: names of Ollama, with and without host, namespace and tag, in any letters") {
  const Machine machine;
  const fs::path ollama = ".ollama/models";
  machine.write(".ollama/models/manifests/registry.ollama.ai/library/deepseek-r1/8b", machine.manifest(kHash, 4));
  machine.write(".ollama/models/manifests/registry.ollama.ai/library/deepseek-r1/latest", machine.manifest(kOther, 4));
  machine.write(".ollama/models/manifests/registry.ollama.ai/someone/tiny/latest", machine.manifest(kHash, 4));
  machine.write(".ollama/models/manifests/hf.co/unsloth/R1-GGUF/Q4_K_M", machine.manifest(kOther, 4));
  machine.write(".ollama/models/blobs/sha256-" + kHash, "GGUF");
  machine.write(".ollama/models/blobs/sha256-" + kOther, "GGUF");
  const std::string first = ".ollama/models/blobs/sha256-" + kHash, second = ".ollama/models/blobs/sha256-" + kOther;
  CHECK(machine.resolve("deepseek-r1:8b") == first);
  CHECK(machine.resolve("DeepSeek-R1:8B") == first);
  CHECK(machine.resolve("deepseek-r1") == second);
  CHECK(machine.resolve("library/deepseek-r1:8b") == first);
  CHECK(machine.resolve("registry.ollama.ai/library/deepseek-r1:8b") == first);
  CHECK(machine.resolve("someone/tiny") == first);
  CHECK(machine.resolve("hf.co/unsloth/R1-GGUF:Q4_K_M") == second);
  CHECK(has(machine.resolve("deepseek-r1:70b"), "no model 'deepseek-r1:70b'"));
  CHECK(has(machine.resolve("deepseek-r1:70b"), "Ollama ("));
  CHECK(has(machine.resolve("a/b/c/d"), "no model"));
}

TEST_CASE("model store: a manifest that leads nowhere says where it fails") {
  const Machine machine;
  const auto tag = [&](const std::string& name, const std::string& text) {
    machine.write(".ollama/models/manifests/registry.ollama.ai/library/m/" + name, text);
    return machine.resolve("m:" + name);
  };
  machine.write(".ollama/models/blobs/sha256-" + kHash, "GGUF");
  CHECK(has(tag("missing", machine.manifest(kOther, 4)), "its weights are missing"));
  CHECK(has(tag("short", machine.manifest(kHash, 5)), "4 bytes, want the 5"));
  CHECK(has(tag("text", "no json"), "manifests/registry.ollama.ai/library/m/text"));
  CHECK(has(tag("empty", "{}"), "no list of layers"));
  CHECK(has(tag("none", R"({"layers": [3, {"mediaType": "x"}]})"), "no layer of weights"));
  CHECK(has(tag("digest", R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x"}]})"), "64 hexadecimal"));
  CHECK(has(tag("nodigest", R"({"layers": [{"mediaType": "application/vnd.ollama.image.model"}]})"), "without a digest"));
  CHECK(has(tag("huge", std::string(2 << 20, ' ')), "bytes"));
}

TEST_CASE("model store: the hub cache, by references, commits and single snapshots") {
  const Machine machine;
  const std::string hub = ".cache/huggingface/hub/models--deepseek-ai--R1/", old = hub + "snapshots/0123", now = hub + "snapshots/4567";
  for (const std::string& snapshot : {old, now}) {
    machine.write(snapshot + "/config.json", "{}");
    machine.write(snapshot + "/model.safetensors");
  }
  CHECK(has(machine.resolve("deepseek-ai/R1"), "no revision 'main'"));
  machine.write(hub + "refs/main", "4567");
  machine.write(hub + "refs/v1", "0123\n");
  machine.write(hub + "refs/gone", "89ab");
  machine.write(hub + "refs/bad", "../../..");
  CHECK(machine.resolve("deepseek-ai/R1") == now);
  CHECK(machine.resolve("deepseek-ai/R1@v1") == old);
  CHECK(machine.resolve("deepseek-ai/R1@0123") == old);
  CHECK(has(machine.resolve("deepseek-ai/R1@gone"), "names commit 89ab"));
  CHECK(has(machine.resolve("deepseek-ai/R1@bad"), "not the name of a commit"));
  CHECK(has(machine.resolve("deepseek-ai/R1@../x"), "not the name of a revision"));
  machine.write(".cache/huggingface/hub/models--one/snapshots/1/config.json", "{}");
  CHECK(machine.resolve("one") == ".cache/huggingface/hub/models--one/snapshots/1");
}

TEST_CASE("model store: several GGUF files of one model are told apart by file or quantisation") {
  const Machine machine;
  const std::string repository = ".lmstudio/models/bartowski/R1-GGUF/";
  machine.write(repository + "R1-Q8_0.gguf");
  machine.write(repository + "R1-IQ4_K_M.gguf");
  machine.write(repository + "R1-Q2_K.gguf");
  machine.write(repository + "mmproj-R1.gguf");
  machine.write(repository + "UD-Q6_K/R1-00001-of-00002.gguf");
  machine.write(repository + "UD-Q6_K/R1-00002-of-00002.gguf");
  const std::string unclear = machine.resolve("bartowski/R1-GGUF");
  CHECK(has(unclear, "4 of its GGUF files could be meant, name one: "));
  CHECK(has(unclear, "UD-Q6_K/R1-00001-of-00002.gguf"));
  CHECK_FALSE(has(unclear, "mmproj"));
  CHECK(machine.resolve("bartowski/R1-GGUF:q8_0") == repository + "R1-Q8_0.gguf");
  CHECK(machine.resolve("bartowski/R1-GGUF:Q6_K") == repository + "UD-Q6_K/R1-00001-of-00002.gguf");
  CHECK(machine.resolve("bartowski/R1-GGUF/R1-Q2_K.gguf") == repository + "R1-Q2_K.gguf");
  CHECK(has(machine.resolve("bartowski/R1-GGUF:Q4_K_M"), "none of its GGUF files have 'Q4_K_M'"));
  CHECK(has(machine.resolve("bartowski/R1-GGUF/R1-Q3_K.gguf"), "has no file R1-Q3_K.gguf"));
  machine.write(repository + "R1-Q4_K_M.gguf");
  CHECK(machine.resolve("bartowski/R1-GGUF") == repository + "R1-Q4_K_M.gguf");
  fs::create_directories(machine.home() / ".lmstudio/models/bartowski/empty");
  CHECK(has(machine.resolve("bartowski/empty"), "neither config.json nor a GGUF file"));
}

TEST_CASE("model store: paths stand for themselves, and names never leave the stores") {
  const Machine machine;
  const fs::path file = machine.write("a b/model.gguf");
  CHECK(machine.resolve(to_text(file)) == "a b/model.gguf");
  CHECK(machine.resolve(to_text(file.parent_path())) == "a b");
  CHECK(has(machine.resolve("./none"), "./none: no such file or folder"));
  machine.write("a b/other-Q8_0.gguf");
  CHECK(has(machine.resolve(to_text(file.parent_path())), "name one: model.gguf, other-Q8_0.gguf"));
  machine.write("a b/model-Q4_K_M.gguf");
  CHECK(machine.resolve(to_text(file.parent_path())) == "a b/model-Q4_K_M.gguf");
  machine.write("a b/config.json", "{}");
  CHECK(machine.resolve(to_text(file.parent_path())) == "a b");
  CHECK(has(machine.resolve(""), "empty"));
  CHECK(has(machine.resolve(std::string_view("a\0b", 3)), "zero byte"));
  machine.write("outside/config.json", "{}");
#ifndef _WIN32  // there it is the current folder, whether x exists or not
  CHECK(resolve_model("x/..", machine.folders()).status().code() == Code::not_found);
#endif
  for (const char* name : {"x/../../outside", "..:x", "a/b:../../outside", "a/b/../../../outside", "a//b", "a:b:c"}) {
    CAPTURE(name);
    CHECK(resolve_model(name, machine.folders()).status().code() == Code::not_found);
  }
}

TEST_CASE("model store: the list has every model with its size, and what is broken with why") {
  const Machine machine;
  machine.write(".ollama/models/manifests/registry.ollama.ai/library/m/1b", machine.manifest(kHash, 4));
  machine.write(".ollama/models/manifests/registry.ollama.ai/you/m/2b", machine.manifest(kOther, 4));
  machine.write(".ollama/models/blobs/sha256-" + kHash, "GGUF");
  machine.write(".cache/huggingface/hub/models--a--b/snapshots/1/config.json", "{}");
  machine.write(".cache/huggingface/hub/models--a--b/snapshots/1/1.safetensors", "12345");
  machine.write(".cache/huggingface/hub/models--a--b/snapshots/1/2.safetensors", "12345");
  machine.write(".cache/huggingface/hub/models--c--d/refs/main", "1");
  machine.write(".cache/huggingface/hub/datasets--e/x");
  machine.write(".cache/huggingface/hub/models--f--g/snapshots/1/config.json", "{}");
  machine.write(".lmstudio/models/p/q/q-00001-of-00002.gguf", "123");
  machine.write(".lmstudio/models/p/q/q-00002-of-00002.gguf", "12");
  const std::vector<FoundModel> all = list_models(machine.folders());
  REQUIRE(all.size() == 6);
  const auto check = [&](std::size_t i, const std::string& name, const std::string& program, std::int64_t bytes, bool good) {
    CHECK(all[i].name == name);
    CHECK(all[i].program == program);
    CHECK(all[i].n_bytes == bytes);
    CHECK(all[i].problem.empty() == good);
    if (good) CHECK(resolve_model(name, machine.folders()).value() == all[i].path);
  };
  check(0, "m:1b", "ollama", 4, true);
  check(1, "you/m:2b", "ollama", 0, false);
  check(2, "a/b", "huggingface", 10, true);
  check(3, "c/d", "huggingface", 0, false);
  check(4, "f/g", "huggingface", 0, false);
  check(5, "p/q/q-00001-of-00002.gguf", "lmstudio", 5, true);
}

TEST_CASE("model store: a machine without any of them has no models") {
  const Machine machine;
  CHECK(list_models(machine.folders()).empty());
  CHECK(has(machine.resolve("deepseek-r1"), "LM Studio"));
}
