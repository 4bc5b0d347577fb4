// Every call of the operating system that reads or writes a file fails once: a status and nothing left behind, neither open
// files nor memory, and the next call works.
#include <functional>
#include <set>
#include <span>

#include "tests/capi/adapter_files.h"
#include "tests/capi/memory/own_files.h"
#include "tests/capi/memory/own_new.h"
#include "tests/lib/io/temporary_folder.h"

using namespace capi_test;
using own_files::Fault;

namespace {

using Call = std::function<ponder_status(ponder_error&)>;

std::ptrdiff_t n_open_files() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}
std::int64_t n_mapped_files() {
  std::ifstream maps("/proc/self/maps");
  std::int64_t n = 0;
  for (std::string line; std::getline(maps, line);) n += line.find('/') != line.npos;
  return n;
}

// Calls with the n-th file operation failing until none is left; gives the names of those that failed. Only that a file which
// was read cannot be closed need not be told.
std::multiset<std::string> fail_each(const Call& call) {
  std::multiset<std::string> names;
  ponder_error err;
  REQUIRE_MESSAGE(call(err) == PONDER_OK, err.message);  // and what is made once is made
  const std::ptrdiff_t files = n_open_files();
  const std::int64_t maps = n_mapped_files();
  for (long n = 0; n < 10000; ++n) {
    const std::int64_t live = own_new::n_live;
    own_files::arm(n);
    const ponder_status status = call(err);
    const std::string name = own_files::disarm();
    const std::int64_t lost = own_new::n_live - live;
    CAPTURE(n);
    CAPTURE(name);
    if (name.empty()) {
      CHECK_MESSAGE(status == PONDER_OK, err.message);
      break;
    }
    names.insert(name);
    CHECK((status < 0 || name == "close"));
    if (status < 0) CHECK(err.message[0] != '\0');
    CHECK(n_open_files() == files);
    CHECK(n_mapped_files() == maps);
    CHECK(lost == 0);
    CHECK_MESSAGE(call(err) == PONDER_OK, err.message);
  }
  return names;
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

ponder_status load_model_once(ponder_runtime* runtime, const std::string& path, ponder_error& err, const char* type = nullptr) {
  ponder_model_params params = ponder_model_params_default();
  params.weight_type = type;
  ponder_model* model = nullptr;
  const ponder_status status = ponder_model_load(runtime, path.c_str(), &params, &model, &err);
  ponder_model_free(model);
  return status;
}

}  // namespace

TEST_CASE("file faults: models, tokenizers, templates, inspection") {
  if (!own_files::kOwn) return;
  const ponder::test::TemporaryFolder folder;
  const std::string gguf = (folder.path() / "m.gguf").string();
  const Runtime runtime = make_runtime(1);
  ponder_error err;
  ponder_quantize_params params = ponder_quantize_params_default();
  params.type = "f32";
  REQUIRE(ponder_quantize(runtime.get(), kTiny.c_str(), gguf.c_str(), &params, nullptr, &err) == PONDER_OK);
  for (const std::string& path : {kTiny, gguf}) {
    CAPTURE(path);
    const std::size_t least = path == gguf ? 1 : 2;  // files that each of these reads
    CHECK(fail_each([&](ponder_error& e) { return load_model_once(runtime.get(), path, e); }).count("mmap") >= least);
    CHECK(fail_each([&](ponder_error& e) { return load_model_once(runtime.get(), path, e, "q8_0"); }).count("open") >= least);
    CHECK(fail_each([&](ponder_error& e) {
            ponder_tokenizer* tokenizer = nullptr;
            const ponder_status status = ponder_tokenizer_load(path.c_str(), &tokenizer, &e);
            ponder_tokenizer_free(tokenizer);
            return status;
          }).count("fstat") >= least);
    CHECK(fail_each([&](ponder_error& e) {
            ponder_template* chat = nullptr;
            const ponder_status status = ponder_template_load(path.c_str(), &chat, &e);
            ponder_template_free(chat);
            return status;
          }).size() >= 3);
    CHECK(fail_each([&](ponder_error& e) {
            ponder_buffer* json = nullptr;
            const ponder_status status = ponder_inspect(path.c_str(), nullptr, &json, &e);
            ponder_buffer_free(json);
            return status;
          }).count("mmap") >= least);
  }
}

TEST_CASE("file faults: adapters") {
  if (!own_files::kOwn) return;
  const ponder::test::TemporaryFolder folder;
  const Tiny tiny;
  ponder_error err;
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(tiny.model.get(), &info, &err) == PONDER_OK);
  const AdapterFiles adapter_files(info, 65);
  const std::filesystem::path adapter_folder = folder.path() / "adapter";
  std::filesystem::create_directories(adapter_folder);
  for (const ponder_memory_file& file : adapter_files.list())
    std::ofstream(adapter_folder / file.name, std::ios::binary).write(static_cast<const char*>(file.data), static_cast<std::streamsize>(file.size));
  CHECK(fail_each([&](ponder_error& e) {
          ponder_adapter* adapter = nullptr;
          const ponder_status status =
              ponder_adapter_load(tiny.runtime.get(), tiny.model.get(), adapter_folder.string().c_str(), &adapter, &e);
          ponder_adapter_free(adapter);
          return status;
        }).count("mmap") == 2);

}

namespace {

void fail_writers(bool all) {
  const ponder::test::TemporaryFolder folder;
  const Tiny tiny;
  ponder_error err;
  const Session session = tiny.session();
  prompt(session.get());
  const std::string saved = (folder.path() / "session").string(), model = (folder.path() / "m.gguf").string();
  const std::string matrix = (folder.path() / "imatrix.gguf").string(), text(300, '7');
  const Call save = [&](ponder_error& e) { return ponder_session_save_file(session.get(), saved.c_str(), &e); };
  const Call quantize = [&](ponder_error& e) {
    ponder_quantize_params params = ponder_quantize_params_default();
    params.type = "q8_0";
    return ponder_quantize(tiny.runtime.get(), kTiny.c_str(), model.c_str(), &params, nullptr, &e);
  };
  const Call imatrix = [&](ponder_error& e) {
    ponder_imatrix_params params = ponder_imatrix_params_default();
    params.chunk_tokens = 64;
    return ponder_imatrix(tiny.runtime.get(), tiny.model.get(), text.data(), text.size(), matrix.c_str(), &params, nullptr, &e);
  };
  REQUIRE(save(err) == PONDER_OK);
  CHECK(fail_each([&](ponder_error& e) { return ponder_session_restore_file(session.get(), saved.c_str(), &e); }).count("mmap") == 1);
  const std::pair<const Call*, const std::string*> writers[] = {{&save, &saved}, {&quantize, &model}, {&imatrix, &matrix}};
  for (const auto& [call, path] : std::span(writers).first(all ? 3 : 1)) {
    CAPTURE(*path);
    REQUIRE((*call)(err) == PONDER_OK);
    const std::string want = bytes_of(*path);
    const auto names = fail_each([&](ponder_error& e) {
      const ponder_status status = (*call)(e);
      CHECK(bytes_of(*path) == want);  // the old file or the new one
      return status;
    });
    for (const char* name : {"open", "write", "fsync", "close", "rename"}) CHECK(names.count(name) >= 1);
    for (long n = 0; n < 3; ++n) {
      own_files::arm(n, Fault::short_write);
      CHECK_MESSAGE((*call)(err) == PONDER_OK, err.message);
      own_files::disarm();
      CHECK(bytes_of(*path) == want);
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) CHECK(entry.path().extension() != ".tmp");
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

}  // namespace

TEST_CASE("file faults: saved sessions; writes that are cut short") {
  if (own_files::kOwn) fail_writers(false);
}

TEST_SUITE("full") {
  TEST_CASE("file faults: quantisation and importance matrices") {
    if (own_files::kOwn) fail_writers(true);
  }
}

TEST_CASE("file faults: the prompt cache loses a file and never a prompt") {
  if (!own_files::kOwn) return;
  const ponder::test::TemporaryFolder folder;
  const Tiny tiny;
  const std::string cache = (folder.path() / "cache").string();
  ponder_session_params params = ponder_session_params_default();
  params.prompt_cache = cache.c_str();
  params.prompt_cache_min_tokens = 8;
  // The names of what failed, one after another; the prompt and its reply are right each time.
  const auto fail_prompts = [&](bool empty_folder) {
    std::multiset<std::string> names;
    for (long n = 0; n < 200; ++n) {
      if (empty_folder) std::filesystem::remove_all(cache);
      const Session session = tiny.session(params);
      const std::vector<std::int32_t> ids = question_ids();
      ponder_error err;
      own_files::arm(n);
      const ponder_status status = ponder_session_prompt_ids(session.get(), ids.data(), ids.size(), nullptr, nullptr, &err);
      const std::string name = own_files::disarm();
      CAPTURE(name);
      CHECK_MESSAGE(status == PONDER_OK, err.message);
      CHECK(generate(session.get()).answer == "\\boxed{432}");
      if (name.empty()) return names;
      names.insert(name);
    }
    FAIL_CHECK("no end");
    return names;
  };
  const auto written = fail_prompts(true);
  for (const char* name : {"open", "write", "close", "rename"}) CHECK(written.count(name) >= 1);
  CHECK(written.count("fsync") == 0);
  const auto read = fail_prompts(false);
  for (const char* name : {"open", "fstat", "mmap"}) CHECK(read.count(name) >= 1);
}
