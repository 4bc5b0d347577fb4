// Models inside a host's archive: opened, read and mapped by functions of the host.
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>

#include "tests/capi/capi_fixture.h"
#include "ponder/ponder.hpp"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;

namespace {

// One blob with all files in it, as an application would ship it.
struct Archive {
  struct Entry {
    std::size_t offset, size;
  };
  std::string blob;
  std::map<std::string, Entry> entries;
  bool maps = false;
  int n_open = 0, n_calls = 0, fail_at = -1;
  int n_reads = 0, short_at = -1;  // that read gives half of what it says
  bool throws = false;
  ponder_status failure = PONDER_E_IO;
  std::uint64_t n_read = 0;

  void add(const std::string& name, const std::string& bytes) {
    blob.resize((blob.size() + 63) / 64 * 64 + 7 * !maps, '\0');  // tensors want alignment only where they are mapped
    entries[name] = {blob.size(), bytes.size()};
    blob += bytes;
  }
  explicit Archive(const std::string& prefix = "models/tiny/", bool map = false) : maps(map) {
    for (const auto& [name, bytes] : Files(kTiny).contents) add(prefix + name, bytes);
  }
  bool fails() {
    if (n_calls++ != fail_at) return false;
    if (throws) throw std::runtime_error("the archive is gone");
    return true;
  }

  static Archive& of(void* user) { return *static_cast<Archive*>(user); }
  static ponder_status PONDER_CALL open(void* user, const char* name, void** out_file, std::uint64_t* out_size) {
    if (of(user).fails()) return of(user).failure;
    const auto found = of(user).entries.find(name);
    if (found == of(user).entries.end()) return PONDER_E_NOT_FOUND;
    ++of(user).n_open;
    *out_file = &found->second;
    *out_size = found->second.size;
    return PONDER_OK;
  }
  static ponder_status PONDER_CALL read(void* user, void* file, std::uint64_t offset, void* to, std::size_t size) {
    if (of(user).fails()) return of(user).failure;
    const auto& entry = *static_cast<const Entry*>(file);
    if (offset > entry.size || size > entry.size - offset || size > (std::size_t{16} << 20)) return PONDER_E_INTERNAL;
    std::memset(to, 0xaa, size);
    std::memcpy(to, of(user).blob.data() + entry.offset + offset, of(user).n_reads++ == of(user).short_at ? size / 2 : size);
    of(user).n_read += size;
    return PONDER_OK;
  }
  static void PONDER_CALL close(void* user, void*) { --of(user).n_open; }
  static const void* PONDER_CALL map(void* user, void* file) {
    return of(user).fails() ? nullptr : of(user).blob.data() + static_cast<const Entry*>(file)->offset;
  }
  ponder_file_system system() {
    ponder_file_system files = ponder_file_system_default();
    files.user_data = this;
    files.open = open;
    files.read = read;
    files.close = close;
    files.map = maps ? map : nullptr;
    return files;
  }
};

ponder_status load(ponder_runtime* runtime, Archive& archive, const char* path, Model& out, ponder_error& err,
                   const char* weight_type = nullptr, ponder_progress_fn progress = nullptr, void* user_data = nullptr) {
  const ponder_file_system files = archive.system();
  ponder_model_params p = ponder_model_params_default();
  p.files = &files;
  p.weight_type = weight_type;
  p.progress = progress;
  p.progress_user_data = user_data;
  ponder_model* model = nullptr;
  const ponder_status status = ponder_model_load(runtime, path, &p, &model, &err);
  out.reset(model);
  return status;
}

ponder_memory_info memory_of(ponder_runtime* runtime) {
  ponder_memory_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_runtime_memory(runtime, &info, nullptr) == PONDER_OK);
  return info;
}

std::string answer(ponder_runtime* runtime, ponder_model* model) {
  ponder_session* session = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_create(runtime, model, nullptr, &session, &err) == PONDER_OK, err.message);
  const Session owner(session);
  prompt(session);
  return generate(session).answer;
}

std::string tiny_gguf(const char* type = "f32") {
  const ponder::test::TemporaryFolder folder;
  const std::string path = (folder.path() / "model.gguf").string();
  const Runtime runtime = make_runtime();
  ponder_quantize_params p = ponder_quantize_params_default();
  p.type = type;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_quantize(runtime.get(), kTiny.c_str(), path.c_str(), &p, nullptr, &err) == PONDER_OK, err.message);
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a checkpoint is read out of the host's archive, once, into memory that is counted") {
  const Runtime runtime = make_runtime();
  Archive archive;
  Model model;
  ponder_error err;
  for (const char* path : {"models/tiny", "models/tiny/"}) {
    archive.n_read = 0;
    REQUIRE_MESSAGE(load(runtime.get(), archive, path, model, err) == PONDER_OK, err.message);
    CHECK(archive.n_open == 0);
    CHECK(archive.n_read < archive.blob.size() * 5 / 4);  // small files are asked for more than once
  }
  const auto weights = static_cast<std::int64_t>(archive.entries.at("models/tiny/model.safetensors").size);
  CHECK(memory_of(runtime.get()).weight_bytes == weights);
  ponder_memory_plan plan{};
  plan.struct_size = sizeof plan;
  REQUIRE(ponder_model_plan(model.get(), nullptr, &plan, &err) == PONDER_OK);
  CHECK(plan.weight_bytes == weights);
  archive.blob.assign(archive.blob.size(), 'x');  // nothing of it is used any more
  CHECK(answer(runtime.get(), model.get()) == "\\boxed{432}");
  model.reset();
  CHECK(memory_of(runtime.get()).used_bytes == 0);
}

TEST_CASE("a host that maps keeps its file open as long as the model lives, and nothing is read") {
  const Runtime runtime = make_runtime();
  Archive archive("", true);
  Model model;
  ponder_error err;
  REQUIRE_MESSAGE(load(runtime.get(), archive, "", model, err) == PONDER_OK, err.message);
  CHECK(archive.n_read == 0);
  CHECK(archive.n_open == 1);
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(model.get(), &info, &err) == PONDER_OK);
  CHECK(memory_of(runtime.get()).weight_bytes == info.weight_bytes);
  ponder_session* session = nullptr;
  REQUIRE(ponder_session_create(runtime.get(), model.get(), nullptr, &session, &err) == PONDER_OK);
  Session owner(session);
  model.reset();
  CHECK(archive.n_open == 1);
  prompt(session);
  CHECK(generate(session).answer == "\\boxed{432}");
  owner.reset();
  CHECK(archive.n_open == 0);
}

TEST_CASE("GGUF files, conversions, tokenizers, templates and inspection come out of the archive too") {
  const Runtime runtime = make_runtime();
  for (const bool maps : {false, true}) {
    CAPTURE(maps);
    Archive archive("a/", maps);
    archive.add("a/tiny.gguf", tiny_gguf());
    archive.add("a/blob", archive.blob.substr(archive.entries.at("a/tiny.gguf").offset));
    ponder_error err;
    Model model;
    for (const char* path : {"a/tiny.gguf", "a/blob"}) {
      CAPTURE(path);
      REQUIRE_MESSAGE(load(runtime.get(), archive, path, model, err) == PONDER_OK, err.message);
      CHECK(answer(runtime.get(), model.get()) == "\\boxed{432}");
    }
    REQUIRE_MESSAGE(load(runtime.get(), archive, "a", model, err, "q8_0") == PONDER_OK, err.message);
    CHECK(answer(runtime.get(), model.get()).size() > 3);
    model.reset();
    CHECK(archive.n_open == 0);
    CHECK(memory_of(runtime.get()).used_bytes == 0);

    const ponder_file_system files = archive.system();
    ponder_buffer *from_archive = nullptr, *from_folder = nullptr;
    archive.n_read = 0;
    REQUIRE_MESSAGE(ponder_inspect_files(&files, "a", nullptr, &from_archive, &err) == PONDER_OK, err.message);
    REQUIRE(ponder_inspect(kTiny.c_str(), nullptr, &from_folder, &err) == PONDER_OK);
    CHECK(text_of(from_archive) == text_of(from_folder));
    CHECK(archive.n_read < 150000);  // the heads of files of 2 and 4 MB
    {
      const ponder::test::TemporaryFolder folder;
      const std::string gguf = (folder.path() / "tiny.gguf").string();
      std::ofstream(gguf, std::ios::binary) << archive.blob.substr(archive.entries.at("a/tiny.gguf").offset, archive.entries.at("a/tiny.gguf").size);
      archive.n_read = 0;
      REQUIRE_MESSAGE(ponder_inspect_files(&files, "a/blob", nullptr, &from_archive, &err) == PONDER_OK, err.message);
      REQUIRE(ponder_inspect(gguf.c_str(), nullptr, &from_folder, &err) == PONDER_OK);
      CHECK(text_of(from_archive) == text_of(from_folder));
      CHECK(archive.n_read < 150000);
    }
    for (const char* path : {"a", "a/tokenizer.json", "a/tiny.gguf"}) {
      CAPTURE(path);
      ponder_tokenizer* tokenizer = nullptr;
      archive.n_read = 0;
      REQUIRE_MESSAGE(ponder_tokenizer_load_files(&files, path, &tokenizer, &err) == PONDER_OK, err.message);
      CHECK(archive.n_read < 150000);
      const Tokenizer owner(tokenizer);
      std::int32_t id = -1;
      CHECK(ponder_tokenizer_find(tokenizer, "<think>", 7, &id, &err) == PONDER_OK);
      CHECK(id == 260);
    }
    for (const char* path : {"a", "a/tiny.gguf"}) {
      CAPTURE(path);
      ponder_template* chat = nullptr;
      REQUIRE_MESSAGE(ponder_template_load_files(&files, path, &chat, &err) == PONDER_OK, err.message);
      ponder_template_free(chat);
    }
    CHECK(archive.n_open == 0);
  }
}

TEST_CASE("a model in the archive is quantised as the one in the folder") {
  const ponder::test::TemporaryFolder folder;
  const Runtime runtime = make_runtime();
  Archive archive;
  const ponder_file_system files = archive.system();
  ponder_quantize_params p = ponder_quantize_params_default();
  p.type = "q8_0";
  p.files = &files;
  const std::string path = (folder.path() / "model.gguf").string();
  ponder_error err;
  REQUIRE_MESSAGE(ponder_quantize(runtime.get(), "models/tiny", path.c_str(), &p, nullptr, &err) == PONDER_OK, err.message);
  std::ifstream in(path, std::ios::binary);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == tiny_gguf("q8_0"));
  CHECK(archive.n_open == 0);
}

TEST_CASE("each call of the host fails once, in turn: a status, nothing stays open or counted, and the next load works") {
  const Runtime runtime = make_runtime();
  for (const bool gguf : {false, true}) {
    Archive archive;
    archive.add("x.gguf", tiny_gguf());
    const char* path = gguf ? "x.gguf" : "models/tiny";
    CAPTURE(path);
    Model model;
    ponder_error err;
    archive.n_calls = 0;
    REQUIRE(load(runtime.get(), archive, path, model, err) == PONDER_OK);
    model.reset();
    const int n_calls = archive.n_calls;
    CHECK(n_calls > (gguf ? 1 : 8));
    int n_refused = 0;
    for (const bool throws : {false, true})
      for (const ponder_status failure : {PONDER_E_IO, PONDER_E_OUT_OF_MEMORY, 77}) {
        archive.throws = throws;
        archive.failure = failure;
        for (int n = 0; n < n_calls; ++n) {
          CAPTURE(n);
          archive.n_calls = 0;
          archive.fail_at = n;
          const ponder_status status = load(runtime.get(), archive, path, model, err);
          if (status == PONDER_OK) {
            CHECK(n == 0);  // what opening a folder as a file is answered with does not matter
            CHECK(answer(runtime.get(), model.get()) == "\\boxed{432}");
            model.reset();
          } else {
            ++n_refused;
            check_error(status, err, throws ? PONDER_E_CALLBACK : failure == 77 ? PONDER_E_IO : failure, {"the host's "});
          }
          CHECK(archive.n_open == 0);
          CHECK(memory_of(runtime.get()).used_bytes == 0);
        }
      }
    CHECK(n_refused >= 6 * (n_calls - 1));
    archive.fail_at = -1;
    CHECK(load(runtime.get(), archive, path, model, err) == PONDER_OK);
  }
}

TEST_CASE("so it is with tokenizers, templates, inspection and quantisation, and a read that gives half harms nothing") {
  const ponder::test::TemporaryFolder folder;
  const std::string output = (folder.path() / "out.gguf").string();
  const Runtime runtime = make_runtime();
  Archive archive;
  archive.add("x.gguf", tiny_gguf());
  const ponder_file_system files = archive.system();
  using Call = std::function<ponder_status(const char*, ponder_error&)>;
  const std::pair<const char*, Call> calls[] = {
      {"tokenizer", [&](const char* path, ponder_error& err) {
         ponder_tokenizer* tokenizer = nullptr;
         const ponder_status status = ponder_tokenizer_load_files(&files, path, &tokenizer, &err);
         ponder_tokenizer_free(tokenizer);
         return status;
       }},
      {"template", [&](const char* path, ponder_error& err) {
         ponder_template* chat = nullptr;
         const ponder_status status = ponder_template_load_files(&files, path, &chat, &err);
         ponder_template_free(chat);
         return status;
       }},
      {"inspect", [&](const char* path, ponder_error& err) {
         ponder_buffer* json = nullptr;
         const ponder_status status = ponder_inspect_files(&files, path, nullptr, &json, &err);
         ponder_buffer_free(json);
         return status;
       }},
      {"quantize", [&](const char* path, ponder_error& err) {
         ponder_quantize_params p = ponder_quantize_params_default();
         p.type = "q8_0";
         p.files = &files;
         return ponder_quantize(runtime.get(), path, output.c_str(), &p, nullptr, &err);
       }},
      {"load", [&](const char* path, ponder_error& err) {
         Model model;
         return load(runtime.get(), archive, path, model, err);
       }}};
  ponder_error err;
  for (const auto& [name, call] : calls)
    for (const char* path : {"models/tiny", "x.gguf"}) {
      CAPTURE(name);
      CAPTURE(path);
      archive.n_calls = archive.n_reads = 0;
      archive.fail_at = -1;
      archive.throws = false;
      REQUIRE_MESSAGE(call(path, err) == PONDER_OK, err.message);
      const int n_calls = archive.n_calls, n_reads = archive.n_reads;
      CHECK(n_reads > 0);
      int n_refused = 0;
      for (const bool throws : {false, true})
        for (int n = 0; n < n_calls; ++n) {
          CAPTURE(n);
          archive.throws = throws;
          archive.n_calls = 0;
          archive.fail_at = n;
          const ponder_status status = call(path, err);
          n_refused += status != PONDER_OK;
          if (status == PONDER_OK) CHECK(n == 0);  // what opening a folder as a file is answered with does not matter
          else check_error(status, err, throws ? PONDER_E_CALLBACK : PONDER_E_IO, {"the host's "});
          CHECK(archive.n_open == 0);
          CHECK(memory_of(runtime.get()).used_bytes == 0);
        }
      CHECK(n_refused >= 2 * (n_calls - 1));
      archive.fail_at = -1;
      for (int n = 0; n < n_reads; ++n) {
        archive.n_reads = 0;
        archive.short_at = n;
        const ponder_status status = call(path, err);
        CHECK((status == PONDER_OK || err.message[0] != '\0'));
        CHECK(archive.n_open == 0);
        CHECK(memory_of(runtime.get()).used_bytes == 0);
      }
      archive.short_at = -1;
      CHECK(call(path, err) == PONDER_OK);
    }
}

TEST_CASE("progress goes from reading to 1 and never falls; stopped anywhere, nothing is left") {
  const Runtime runtime = make_runtime();
  Archive archive;
  struct Seen {
    float last = 0;
    bool falls = false;
    int n = 0, stop_at = -1;
    static std::int32_t PONDER_CALL call(void* user, float fraction) {
      auto& self = *static_cast<Seen*>(user);
      self.falls = self.falls || fraction < self.last;
      self.last = fraction;
      return ++self.n == self.stop_at;
    }
  } seen;
  Model model;
  ponder_error err;
  REQUIRE(load(runtime.get(), archive, "models/tiny", model, err, nullptr, Seen::call, &seen) == PONDER_OK);
  CHECK(seen.last == 1.0f);
  CHECK(!seen.falls);
  const int n = seen.n;
  for (int i = 1; i <= n; ++i) {
    seen = Seen();
    seen.stop_at = i;
    check_error(load(runtime.get(), archive, "models/tiny", model, err, nullptr, Seen::call, &seen), err, PONDER_E_CANCELLED);
    CHECK(model == nullptr);
    CHECK(archive.n_open == 0);
    CHECK(memory_of(runtime.get()).used_bytes == 0);
  }
}

TEST_CASE("files that do not fit the ceiling are not read") {
  ponder_runtime_params params = ponder_runtime_params_default();
  params.n_threads = 1;
  params.memory_limit = 1000000;
  ponder_runtime* runtime = nullptr;
  ponder_error err;
  REQUIRE(ponder_runtime_create(&params, &runtime, &err) == PONDER_OK);
  const Runtime owner(runtime);
  Archive archive;
  Model model;
  check_error(load(runtime, archive, "models/tiny", model, err), err, PONDER_E_OUT_OF_MEMORY,
              {"models/tiny/model.safetensors", "memory_limit is 1000000"});
  CHECK(archive.n_read < 100000);
  CHECK(archive.n_open == 0);
}

TEST_CASE("ponder.hpp reads out of the archive") {
  Archive archive;
  const ponder_file_system files = archive.system();
  ponder::RuntimeOptions options;
  options.n_threads = 1;
  options.memory_limit = 100000000;
  ponder::Runtime runtime = ponder::Runtime::create(options).value();
  ponder::LoadOptions load;
  load.runtime = runtime;
  load.files = &files;
  const ponder::Model model = ponder::Model::load("models/tiny", load).value();
  CHECK(runtime.memory().limit_bytes == 100000000);
  CHECK(runtime.memory().weight_bytes > 2000000);
  CHECK(ponder::Model::inspect_files(files, "models/tiny").ok());
  CHECK(ponder::Tokenizer::load_files(files, "models/tiny").value().find("<think>").value() == 260);
  CHECK(ponder::ChatTemplate::load_files(files, "models/tiny").ok());
  CHECK(!ponder::ChatTemplate::load_files(files, "models").ok());
}

TEST_CASE("half a file system, unknown flags, missing files and files twice over are refused by name") {
  const Runtime runtime = make_runtime();
  Archive archive;
  Model model;
  ponder_error err;
  check_error(load(runtime.get(), archive, "nowhere", model, err), err, PONDER_E_NOT_FOUND, {"nowhere/config.json", "host"});
  check_error(load(runtime.get(), archive, "nowhere.gguf", model, err), err, PONDER_E_NOT_FOUND, {"nowhere.gguf"});
  const Files memory(kTiny);
  const std::vector<ponder_memory_file> list = memory.list();
  ponder_model* handle = nullptr;
  ponder_model_params p = ponder_model_params_default();
  ponder_file_system files = archive.system();
  p.files = &files;
  check_error(ponder_model_load_memory(runtime.get(), list.data(), list.size(), &p, &handle, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"files"});
  const auto refused = [&](const char* part) {
    check_error(ponder_model_load(runtime.get(), "models/tiny", &p, &handle, &err), err, PONDER_E_INVALID_ARGUMENT,
                {"ponder_model_params.files", part});
    files = archive.system();
  };
  files.open = nullptr, refused("open");
  files.read = nullptr, refused("read");
  files.close = nullptr, refused("close");
  files.flags = 1, refused("flags");
  files.struct_size = 3, refused("struct_size");
}
