"""editor_helper_test.py PROGRAM MODEL: requests as an editor sends them, and as no editor would."""
import json
import subprocess
import sys
import threading

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
NOT_INITIALIZED, REQUEST_CANCELLED = -32002, -32800
STREAMED = {"text": "", "instruction": "What is 347+85?", "max_tokens": 0, "stream": True}


class Helper:
    def __init__(self, initialize=True):
        self.process = subprocess.Popen(sys.argv[1:3], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.watchdog = threading.Timer(120, self.process.kill)  # a hanging helper is a failure, not a hanging test
        self.watchdog.start()
        self.notifications = []
        if initialize:
            self.request(0, "initialize")
            assert self.response(0)["result"]["name"] == "ponder editor helper"

    def raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def body(self, data):
        self.raw(b"Content-Length: %d\r\n\r\n" % len(data) + data)

    def send(self, message):
        self.body(json.dumps(message).encode())

    def request(self, id, method, params=None):
        self.send({"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})})

    def notify(self, method, params=None):
        self.send({"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})})

    def read(self):
        header = self.process.stdout.readline()
        assert header.startswith(b"Content-Length: "), header
        assert self.process.stdout.readline() == b"\r\n"
        message = json.loads(self.process.stdout.read(int(header.split()[1])))
        assert message["jsonrpc"] == "2.0"
        return message

    def response(self, id):
        while True:
            message = self.read()
            if "method" in message:
                self.notifications.append(message)
                continue
            assert message["id"] == id, (id, message)
            return message

    def error(self, id):
        return self.response(id)["error"]["code"]

    def close(self, code):
        self.process.stdin.close()
        assert self.process.wait(60) == code, self.process.returncode
        self.watchdog.cancel()

    def finish(self):
        self.request("bye", "shutdown")
        assert self.response("bye")["result"] is None
        self.notify("exit")
        self.close(0)


def explains_and_streams():
    helper = Helper()
    helper.request(1, "explain", {"text": "", "instruction": "What is 347+85?", "stream": True})
    result = helper.response(1)["result"]
    assert result["text"].strip() == "\\boxed{432}" and result["finish"] == "stop", result
    assert "347+85=432" in result["thinking"], result
    for channel, text in (("answer", result["text"]), ("thinking", result["thinking"])):
        parts = [n["params"]["text"] for n in helper.notifications if n["params"]["channel"] == channel]
        assert len(parts) > 1 and "".join(parts) == text, (channel, parts)
    assert all(n["method"] == "progress" and n["params"]["id"] == 1 for n in helper.notifications)
    helper.finish()


def completes():
    helper = Helper()
    helper.request("a", "complete", {"prefix": "7+5=", "max_tokens": 5})
    result = helper.response("a")["result"]
    assert result["finish"] in ("stop", "length") and isinstance(result["text"], str), result
    assert not helper.notifications
    helper.request("b", "complete", {"prefix": "7+5=", "max_tokens": 5})
    assert helper.response("b")["result"] == result  # the same again
    helper.finish()


def cancels_what_runs_and_what_waits():
    helper = Helper()
    for id in (1, 2, 3):
        helper.request(id, "explain", STREAMED)
    helper.notify("cancel", {"id": 3})
    helper.request("c", "cancel", {"id": 2})
    helper.notify("$/cancelRequest", {"id": 1})
    codes = {}
    found = None
    while len(codes) < 3 or found is None:
        message = helper.read()
        if message.get("id") == "c":
            found = message["result"]
        elif "method" not in message:
            codes[message["id"]] = message.get("error", {}).get("code")
    # The first may have been done before the word came.
    assert found is True and codes[3] == codes[2] == REQUEST_CANCELLED and codes[1] in (REQUEST_CANCELLED, None), codes
    helper.request(4, "explain", {"text": "", "instruction": "What is 347+85?"})
    assert "432" in helper.response(4)["result"]["text"]  # the next one is not hurt
    helper.request("d", "cancel", {"id": 4})
    assert helper.response("d")["result"] is False
    helper.finish()


def shutdown_cancels():
    helper = Helper()
    for id in (1, 2):
        helper.request(id, "explain", STREAMED)
    helper.request(3, "shutdown")
    answers = {}
    while len(answers) < 3:
        message = helper.read()
        if "id" in message:
            answers[message["id"]] = message
    assert answers[3]["result"] is None
    assert answers[2]["error"]["code"] == REQUEST_CANCELLED
    helper.request(4, "complete", {"prefix": "x"})
    assert helper.error(4) == INVALID_REQUEST
    helper.notify("exit")
    helper.close(0)


def order_is_kept():
    helper = Helper(initialize=False)
    helper.request(1, "complete", {"prefix": "x"})
    assert helper.error(1) == NOT_INITIALIZED
    helper.notify("exit")
    helper.close(1)  # without shutdown
    helper = Helper()
    helper.close(1)  # the editor died


def answers_errors_as_the_specification_says():
    helper = Helper()
    for bad in (b"{", b"", b"\xff\xfe", b'{"jsonrpc": "2.0", "id": 1, "method": "complete", "params": "\xff"}', b"nonsense"):
        helper.body(bad)
        assert helper.error(None) == PARSE_ERROR, bad
    for bad in ([], [{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}], 1, "x", None, {}, {"jsonrpc": "2.0"},
                {"jsonrpc": "2.0", "method": 1}, {"jsonrpc": "2.0", "id": {}, "method": "x"}, {"jsonrpc": "2.0", "id": None, "method": "x"}):
        helper.send(bad)
        assert helper.error(None) == INVALID_REQUEST, bad
    helper.send({"jsonrpc": "1.0", "id": 7, "method": "shutdown"})
    assert helper.error(7) == INVALID_REQUEST
    helper.request(1, "fly")
    assert helper.error(1) == METHOD_NOT_FOUND
    for bad in ([], "x", {}, {"prefix": 1}, {"prefix": "x", "max_tokens": "many"}, {"prefix": "x", "max_tokens": -5},
                {"prefix": "x", "stop": "not a list"}, {"prefix": "x", "stream": 1}):
        helper.request(2, "complete", bad)
        assert helper.error(2) == INVALID_PARAMS, bad
    helper.request(3, "cancel", {})
    assert helper.error(3) == INVALID_PARAMS
    helper.notify("fly")  # notifications are not answered, whatever they are
    helper.notify("complete", {"prefix": 1})
    helper.request(4, "complete", {"prefix": "7+5=" * 10000})
    assert "context" in helper.response(4)["error"]["message"]
    for id in (5, 5):
        helper.request(id, "explain", STREAMED)
    seen = [m for m in (helper.response(5), helper.response(5))]
    assert any(m.get("error", {}).get("code") == INVALID_REQUEST for m in seen) or all("result" in m for m in seen), seen
    helper.finish()


def hostile_input_does_not_end_it():
    helper = Helper()
    for bad in (b"Content-Length: -1\r\n\r\n", b"Content-Length: 1e3\r\n\r\n", b"Content-Length: 99999999999999999999\r\n\r\n",
                b"Content-Length:\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"x" * 100000 + b"\r\n\r\n", b"\0\0\0\n\n"):
        helper.raw(bad)
        assert helper.error(None) == PARSE_ERROR, bad[:40]
    helper.raw(b"\r\n\r\n\n")  # nothing
    helper.raw(b"Content-Length: 20000000\r\n\r\n" + b" " * 20000000)
    assert helper.error(None) == PARSE_ERROR
    helper.body(b"[" * 1000000)
    assert helper.error(None) in (PARSE_ERROR, INVALID_REQUEST)
    deep = b'{"a":' * 100000 + b"1" + b"}" * 100000
    helper.body(b'{"jsonrpc": "2.0", "id": 1, "method": "complete", "params": {"prefix": ' + deep + b"}}")
    assert helper.error(None) == INVALID_REQUEST
    helper.raw(b"content-length:   46\nContent-Type: x\n\n" + b'{"jsonrpc": "2.0", "id": 8, "method": "fly" } ')
    assert helper.error(8) == METHOD_NOT_FOUND  # lower case and bare line feeds are understood
    for i in range(200):
        helper.request(i, "explain", STREAMED)
    helper.request("bye", "shutdown")
    answered = 0
    while answered < 201:
        answered += "id" in helper.read()
    helper.raw(b"Content-Length: 100\r\n\r\n{")  # cut off
    helper.close(0)


for test in (explains_and_streams, completes, cancels_what_runs_and_what_waits, shutdown_cancels, order_is_kept,
             answers_errors_as_the_specification_says, hostile_input_does_not_end_it):
    test()
    print("ok:", test.__name__.replace("_", " "))
