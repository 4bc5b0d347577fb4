// The chat window as a user meets it: keys and mouse clicks. chat_window_test MODEL_FOLDER PICTURE.png
#include <QApplication>
#include <QtTest/QtTest>
#include <cstdio>

#include "examples/chat_window/chat_window.h"

namespace {

constexpr int kTimeoutMs = 60000;

#define WANT(condition)                                                        \
  do {                                                                         \
    if (!(condition)) {                                                        \
      std::fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition); \
      return 1;                                                                \
    }                                                                          \
  } while (false)
#define COMES(condition) WANT(QTest::qWaitFor([&] { return static_cast<bool>(condition); }, kTimeoutMs))

// The last child of this name: of the last reply.
template <class T>
T* last(const QWidget& window, const char* name) {
  const auto all = window.findChildren<T*>(name);
  return all.isEmpty() ? nullptr : all.back();
}

// Layouts follow what was shown and hidden when their events are handled.
void settle() {
  for (int i = 0; i < 3; ++i) {
    QCoreApplication::sendPostedEvents();
    QCoreApplication::processEvents();
  }
}

void click(QWidget* widget) {
  settle();
  QTest::mouseClick(widget, Qt::LeftButton);
}

int asks_and_unfolds(const std::string& model, const QString& picture) {
  ChatWindow window(model);
  window.show();
  WANT(QTest::qWaitForWindowExposed(&window));
  auto* input = last<QLineEdit>(window, "input");
  auto* send = last<QPushButton>(window, "send");
  COMES(send->isEnabled());
  QTest::keyClicks(input, "What is 347+85?");
  click(send);
  WANT(!send->isEnabled() || !window.busy());  // a second question waits
  COMES(!window.busy() && last<QLabel>(window, "answer")->text() == "\\boxed{432}");
  auto* thinking = last<QLabel>(window, "thinking");
  WANT(!thinking->isVisible() && thinking->text().contains("347+85=432"));  // folded
  WANT(!last<QLabel>(window, "end")->isVisible());
  click(last<QToolButton>(window, "toggle"));
  WANT(thinking->isVisible());
  settle();
  WANT(window.grab().save(picture));

  QTest::keyClicks(input, "What is 5+31-47?");
  QTest::keyClick(input, Qt::Key_Return);
  COMES(!window.busy() && !last<QLabel>(window, "answer")->text().isEmpty());  // the default model knows one turn only
  WANT(window.findChildren<QLabel*>("answer").size() == 2);
  return 0;
}

// Endless replies: the first one is stopped, the second window is closed while it computes.
int stops(const std::string& model) {
  ponder_generate_params endless = ponder_generate_params_default();
  endless.flags = PONDER_GENERATE_IGNORE_EOS | PONDER_GENERATE_CONTEXT_SHIFT;
  for (const bool by_button : {true, false}) {
    ChatWindow window(model, endless);
    window.show();
    WANT(QTest::qWaitForWindowExposed(&window));
    auto* stop = last<QPushButton>(window, "stop");
    auto* send = last<QPushButton>(window, "send");
    COMES(send->isEnabled());
    WANT(!stop->isEnabled());
    QTest::keyClicks(last<QLineEdit>(window, "input"), "What is 347+85?");
    QTest::keyClick(last<QLineEdit>(window, "input"), Qt::Key_Return);
    COMES(!last<QLabel>(window, "thinking")->text().isEmpty());
    WANT(window.busy() && stop->isEnabled() && !send->isEnabled());
    if (!by_button) return 0;
    click(stop);
    COMES(!window.busy());
    WANT(last<QLabel>(window, "end")->text() == "stopped" && !stop->isEnabled() && send->isEnabled());
  }
  return 1;
}

int says_what_is_wrong() {
  ChatWindow window("no/such/folder");
  window.show();
  auto* loading = window.findChild<QProgressBar*>();
  COMES(loading->format().contains("no such folder"));
  WANT(!last<QPushButton>(window, "send")->isEnabled());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  if (argc != 3) return 2;
  if (const int failed = asks_and_unfolds(argv[1], argv[2])) return failed;
  if (const int failed = stops(argv[1])) return failed;
  return says_what_is_wrong();
}
