// A chat window with Qt Widgets: thinking is folded and can be looked at, Stop stops, and the window stays awake meanwhile.
#pragma once

#include <QLabel>
#include <QLineEdit>
#include <QMainWindow>
#include <QProgressBar>
#include <QPushButton>
#include <QScrollArea>
#include <QTimer>
#include <QToolButton>
#include <QVBoxLayout>

#include "examples/chat_window/conversation.h"

// One question and its reply.
class ReplyView : public QWidget {
 public:
  explicit ReplyView(const QString& question);
  void add(const QString& thinking, const QString& answer);
  void finish(ponder_finish finish, const QString& problem);

 private:
  void name_toggle();

  QToolButton* toggle_;
  QLabel *thinking_, *answer_, *end_;
  bool finished_ = false;
};

class ChatWindow : public QMainWindow {
 public:
  explicit ChatWindow(const std::string& model_path, std::optional<ponder_generate_params> params = {});
  bool busy() const { return busy_; }

 private:
  void send();
  void draw();  // takes what is new

  Conversation conversation_;
  QScrollArea* scroll_;
  QVBoxLayout* replies_;
  QProgressBar* loading_;
  QLineEdit* input_;
  QPushButton *send_, *stop_;
  ReplyView* last_ = nullptr;
  QTimer timer_;
  bool busy_ = false;
};
