#include "examples/chat_window/chat_window.h"

#include <QRegularExpression>
#include <QScrollBar>

namespace {

// Text of a model is never markup.
QLabel* label(QWidget* parent, const char* name, const char* style) {
  auto* out = new QLabel(parent);
  out->setObjectName(name);
  out->setTextFormat(Qt::PlainText);
  out->setWordWrap(true);
  out->setTextInteractionFlags(Qt::TextSelectableByMouse);
  out->setStyleSheet(style);
  return out;
}

void append(QLabel* to, const QString& text) {
  if (!text.isEmpty()) to->setText(to->text() + text);
}

}  // namespace

ReplyView::ReplyView(const QString& question)
    : toggle_(new QToolButton(this)),
      thinking_(label(this, "thinking", "color: #666; margin-left: 16px")),
      answer_(label(this, "answer", "")),
      end_(label(this, "end", "color: #a40")) {
  auto* column = new QVBoxLayout(this);
  QLabel* asked = label(this, "question", "background: #e8eef7; border-radius: 8px; padding: 8px");
  asked->setText(question);
  toggle_->setObjectName("toggle");
  toggle_->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  toggle_->setAutoRaise(true);
  toggle_->setCheckable(true);
  for (QWidget* widget : std::initializer_list<QWidget*>{asked, toggle_, thinking_, answer_, end_}) column->addWidget(widget);
  for (QWidget* widget : std::initializer_list<QWidget*>{toggle_, thinking_, end_}) widget->hide();
  connect(toggle_, &QToolButton::toggled, this, [this] { name_toggle(); });
}

void ReplyView::add(const QString& thinking, const QString& answer) {
  append(thinking_, thinking);
  // The newline between the end of the thinking and the answer is the template's, not the answer's.
  append(answer_, answer_->text().isEmpty() ? QString(answer).remove(QRegularExpression("^\\s+")) : answer);
  name_toggle();
}

void ReplyView::finish(ponder_finish finish, const QString& problem) {
  finished_ = true;
  const QString end = !problem.isEmpty()                  ? problem
                      : finish == PONDER_FINISH_CANCELLED ? "stopped"
                      : finish == PONDER_FINISH_LENGTH    ? "the context is full"
                      : finish == PONDER_FINISH_LOOP      ? "the model repeats itself"
                                                          : "";
  end_->setText(end);
  end_->setVisible(!end.isEmpty());
  name_toggle();
}

void ReplyView::name_toggle() {
  const bool open = toggle_->isChecked(), any = !thinking_->text().isEmpty();
  toggle_->setArrowType(open ? Qt::DownArrow : Qt::RightArrow);
  toggle_->setText(finished_ || !answer_->text().isEmpty() ? "Thoughts" : "Thinking...");
  toggle_->setVisible(any);
  thinking_->setVisible(any && open);
}

ChatWindow::ChatWindow(const std::string& model_path, std::optional<ponder_generate_params> params)
    : conversation_(model_path, params) {
  setWindowTitle("ponder");
  resize(480, 400);
  auto* page = new QWidget;
  auto* column = new QVBoxLayout(page);
  scroll_ = new QScrollArea;
  scroll_->setWidgetResizable(true);
  auto* list = new QWidget;
  replies_ = new QVBoxLayout(list);
  replies_->addStretch();
  scroll_->setWidget(list);
  loading_ = new QProgressBar;
  loading_->setFormat("loading the model: %p%");
  auto* row = new QHBoxLayout;
  input_ = new QLineEdit;
  input_->setObjectName("input");
  input_->setPlaceholderText("Ask something");
  send_ = new QPushButton("Send");
  send_->setObjectName("send");
  stop_ = new QPushButton("Stop");
  stop_->setObjectName("stop");
  for (QWidget* widget : std::initializer_list<QWidget*>{input_, send_, stop_}) row->addWidget(widget);
  column->addWidget(scroll_);
  column->addWidget(loading_);
  column->addLayout(row);
  setCentralWidget(page);
  for (QWidget* widget : std::initializer_list<QWidget*>{input_, send_, stop_}) widget->setEnabled(false);

  connect(send_, &QPushButton::clicked, this, [this] { send(); });
  connect(input_, &QLineEdit::returnPressed, this, [this] { send(); });
  connect(stop_, &QPushButton::clicked, this, [this] { conversation_.stop(); });
  // The reader's end is followed, unless the user scrolled away.
  connect(scroll_->verticalScrollBar(), &QScrollBar::rangeChanged, this, [this](int, int end) {
    QScrollBar* bar = scroll_->verticalScrollBar();
    if (end - bar->value() < 200) bar->setValue(end);
  });
  connect(&timer_, &QTimer::timeout, this, [this] { draw(); });
  timer_.start(33);
}

void ChatWindow::send() {
  const QString question = input_->text().trimmed();
  if (question.isEmpty() || busy_) return;
  input_->clear();
  last_ = new ReplyView(question);
  replies_->insertWidget(replies_->count() - 1, last_);
  conversation_.ask(question.toStdString());
  draw();
}

void ChatWindow::draw() {
  using State = Conversation::State;
  const Conversation::News news = conversation_.take();
  const QString problem = QString::fromStdString(news.problem);
  if (last_) {
    last_->add(QString::fromStdString(news.thinking), QString::fromStdString(news.answer));
    if (busy_ && news.state == State::ready) last_->finish(news.finish, problem);
  }
  loading_->setVisible(news.state == State::loading || news.state == State::failed);
  loading_->setValue(static_cast<int>(100 * news.loaded));
  if (news.state == State::failed && !problem.isEmpty()) loading_->setFormat(problem);
  busy_ = news.state == State::busy;
  const bool was_enabled = input_->isEnabled();
  input_->setEnabled(news.state == State::ready || busy_);  // the next question may be written meanwhile
  send_->setEnabled(news.state == State::ready);
  stop_->setEnabled(busy_);
  if (!was_enabled && input_->isEnabled()) input_->setFocus();
}
