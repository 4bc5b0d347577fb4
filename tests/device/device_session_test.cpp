// Sessions on a device: the same replies, and what happens when there is none, when it is too small, or when it is lost.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "lib/session/session.h"
#include "tests/device/device_fixture.h"
#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

std::shared_ptr<const Runtime> runtime_on(std::shared_ptr<ops::Device> device, std::vector<std::string>* messages = nullptr) {
  auto runtime = std::make_shared<Runtime>(*test_runtime());
  if (messages) runtime->log = Log([messages](LogLevel, std::string_view text) { messages->emplace_back(text); }, LogLevel::info);
  if (device) runtime->device = ops::DeviceChoice::of(std::move(device));
  return runtime;
}

std::unique_ptr<Session> session_on(std::shared_ptr<const Runtime> runtime, SessionParams params = {}) {
  params.context_length = 256;
  auto session = Session::create(std::move(runtime), tiny_r1(), params);
  REQUIRE_MESSAGE(session.ok(), session.status().message());
  return std::move(session).value();
}

Reply answer(Session& session) {
  GenerateParams params;
  params.sampling.temperature = 0;
  REQUIRE(session.set_generate_params(params).ok());
  ask(session, "What is 12+34?");
  return read_reply(session, 60);
}

const std::vector<TokenId>& cpu_reply() {
  static const std::vector<TokenId> ids = answer(*session_on(runtime_on(nullptr))).ids;
  return ids;
}

bool any_has(const std::vector<std::string>& messages, std::string_view text) {
  for (const std::string& message : messages)
    if (message.find(text) != message.npos) return true;
  return false;
}

}  // namespace

TEST_CASE("device session: the reply of the CPU, with its own name") {
  for (const auto& device : test_devices()) {
    CAPTURE(device->name());
    const auto session = session_on(runtime_on(device));
    CHECK(session->device() == device->name());
    CHECK(answer(*session).ids == cpu_reply());
  }
}

TEST_CASE("device session: fork, rewind, save and restore go on as the CPU does") {
  for (const auto& device : test_devices()) {
    CAPTURE(device->name());
    const auto runtime = runtime_on(device);
    const auto session = session_on(runtime);
    ask(*session, "What is 12+34?");
    const auto saved = session->save();
    REQUIRE(saved.ok());
    auto fork = session->fork();
    REQUIRE(fork.ok());
    CHECK((*fork)->device() == device->name());
    CHECK(read_reply(**fork, 60).ids == cpu_reply());
    CHECK(read_reply(*session, 60).ids == cpu_reply());
    const auto other = session_on(runtime);
    REQUIRE(other->restore(*saved).ok());
    CHECK(read_reply(*other, 60).ids == cpu_reply());
    // A state that the CPU saved has the same layout.
    const auto cpu = session_on(runtime_on(nullptr));
    REQUIRE(cpu->restore(*saved).ok());
    CHECK(read_reply(*cpu, 60).ids == cpu_reply());
  }
}

TEST_CASE("device session: batched steps of sessions on one device") {
  for (const auto& device : test_devices()) {
    CAPTURE(device->name());
    const auto runtime = runtime_on(device);
    const auto a = session_on(runtime), b = session_on(runtime);
    ask(*a, "What is 12+34?");
    ask(*b, "What is 12+34?");
    Session* both[] = {a.get(), b.get()};
    std::vector<TokenId> ids;
    for (std::size_t i = 0; i < cpu_reply().size(); ++i) {
      TokenEvent events[2];
      Status statuses[2];
      REQUIRE(Session::next_batch(both, events, statuses).ok());
      if (!statuses[0].ok()) break;
      CHECK(events[0].id == events[1].id);
      ids.push_back(events[0].id);
    }
    CHECK(ids == cpu_reply());
  }
}

TEST_CASE("device session: a device that is lost in the middle of a reply leaves the rest to the CPU") {
  for (const int n_waits : {0, 1, 5, 20}) {
    CAPTURE(n_waits);
    std::vector<std::string> messages;
    FakeDeviceSettings settings;
    settings.lost_after_waits = n_waits;
    const auto runtime = runtime_on(fake_device(settings), &messages);
    const auto session = session_on(runtime);
    CHECK(answer(*session).ids == cpu_reply());
    CHECK(session->device() == "cpu");
    CHECK(any_has(messages, "the fake device is lost"));
    // Nobody gets it again.
    CHECK(session_on(runtime)->device() == "cpu");
  }
}

TEST_CASE("device session: without room on the device, for weights or for the cache, the CPU computes") {
  for (const std::size_t n_bytes : {std::size_t{1} << 16, std::size_t{1} << 20}) {
    CAPTURE(n_bytes);
    std::vector<std::string> messages;
    FakeDeviceSettings settings;
    settings.memory_bytes = n_bytes;
    const auto session = session_on(runtime_on(fake_device(settings), &messages));
    CHECK(session->device() == "cpu");
    CHECK(any_has(messages, "the session computes on the CPU"));
    CHECK(answer(*session).ids == cpu_reply());
    CHECK(fake_device_counters().used_bytes == 0);
  }
}

TEST_CASE("device session: caches of a type that devices do not have are the CPU's") {
  SessionParams params;
  params.kv_type = DType::q8_0;
  const auto session = session_on(runtime_on(fake_device()), params);
  CHECK(session->device() == "cpu");
}

TEST_CASE("device: no driver, an unknown number and a wrong table are statuses that say so") {
  FakeDeviceSettings settings;
  settings.no_device = "no driver was found";
  fake_device_settings() = settings;
  const auto none = ops::Device::open(fake_device_table(), 0);
  CHECK(none.status().code() == Code::unsupported);
  CHECK(none.status().message().find("no driver was found") != std::string::npos);
  fake_device_settings() = {};
  CHECK(ops::Device::open(fake_device_table(), 1).status().code() == Code::not_found);
  CHECK(ops::Device::open(nullptr, 0).status().code() == Code::unsupported);
  ponder_device_table other = *fake_device_table();
  other.abi = PONDER_DEVICE_ABI + 1;
  CHECK(ops::Device::open(&other, 0).status().code() == Code::unsupported);
}

TEST_CASE("device: names of choices") {
  for (const char* name : {"auto", "cpu", "cuda", "cuda:0", "cuda:12"}) CHECK(ops::DeviceChoice::parse(name).ok());
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x"})
    CHECK(ops::DeviceChoice::parse(name).status().code() == Code::invalid_argument);
  CHECK(ops::DeviceChoice::parse("cpu").value()->device().status().code() == Code::unsupported);
}

TEST_CASE("device: the module loads, and without a device it says why") {
#ifdef PONDER_CUDA_FOLDER
  if (!std::getenv("PONDER_BACKEND_DIR")) ::setenv("PONDER_BACKEND_DIR", PONDER_CUDA_FOLDER, 1);
  const auto device = ops::Device::open_cuda();
  if (device.ok()) return;
  CHECK(device.status().code() == Code::unsupported);  // not not_found: the module itself was opened
  CHECK(device.status().message().find("driver") != std::string::npos);
#endif
}
