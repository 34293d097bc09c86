"""A headless Chromium, told what to do over a pipe: its DevTools protocol,
with Python's standard library alone. Nothing listens on a port."""

import base64
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading

HANG_S = 60  # nothing takes that long; a guard against hanging for ever

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--disable-default-apps", "--disable-extensions", "--hide-scrollbars",
         "--force-color-profile=srgb", "--disable-dev-shm-usage",
         # Hundreds of addresses in a few seconds are no attack here.
         "--disable-ipc-flooding-protection", "--remote-debugging-pipe"]


def find():
    return shutil.which(os.environ.get("CHROMIUM", "chromium"))


class Browser:
    """One page; ends with the `with` block."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="phosd-page-")
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()

        # Chromium reads from descriptor 3 and writes to 4.
        def place():
            read_copy, write_copy = os.dup(to_read), os.dup(to_write)
            os.dup2(read_copy, 3)
            os.dup2(write_copy, 4)

        log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen(
            [find(), *FLAGS, "--user-data-dir=%s/profile" % self.directory,
             "about:blank"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
            preexec_fn=place,
            env={**os.environ, "TZ": "UTC", "LANG": "C.UTF-8"})
        log.close()
        os.close(to_read)
        os.close(to_write)
        self.answers = queue.Queue()
        self.events = []
        self.number = 0
        self.session = None
        threading.Thread(target=self._read, daemon=True).start()
        targets = self.call("Target.getTargets")["targetInfos"]
        [page] = [t for t in targets if t["type"] == "page"]
        self.session = self.call("Target.attachToTarget", flatten=True,
                                 targetId=page["targetId"])["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print("# the page said: %s" % self.complaints())
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(HANG_S)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.write_end)
            shutil.rmtree(self.directory, ignore_errors=True)

    def _read(self):
        data = b""
        while True:
            try:
                piece = os.read(self.read_end, 1 << 20)
            except OSError:
                piece = b""
            if not piece:
                self.answers.put(None)
                return
            *whole, data = (data + piece).split(b"\0")
            for text in whole:
                message = json.loads(text)
                if "id" in message:
                    self.answers.put(message)
                else:
                    self.events.append(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        while True:
            answer = self.answers.get(timeout=HANG_S)
            assert answer is not None, "the browser is gone"
            if answer["id"] == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def script(self, expression):
        """The value of a JavaScript expression; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=expression,
                           awaitPromise=True, returnByValue=True,
                           userGesture=True)
        assert "exceptionDetails" not in result, (
            expression, result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, condition, what=""):
        """Until a JavaScript condition holds."""
        done = self.script("""
            new Promise((resolve) => {
                const end = Date.now() + 20000;
                (function look() {
                    let holds = false;
                    try { holds = (%s); } catch {}
                    if (holds || Date.now() > end)
                        resolve(Boolean(holds));
                    else
                        setTimeout(look, 10);
                })();
            })""" % condition)
        assert done, "waited in vain for %s; the page: %r" % (
            what or condition, self.text()[:2000])

    def text(self):
        return self.script("document.body ? document.body.innerText : ''")

    def click(self, selector):
        """With the mouse, where the element is."""
        box = self.script("""(() => {
            const node = document.querySelector(%s);
            node.scrollIntoView({ block: 'center' });
            const box = node.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2];
        })()""" % json.dumps(selector))
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0],
                      y=box[1], button="left", clickCount=1)

    def press(self, key, text=None):
        code = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key,
                  windowsVirtualKeyCode=code[key],
                  **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key,
                  windowsVirtualKeyCode=code[key])

    def type(self, selector, text):
        """Replaces what an input holds."""
        self.script("(() => { const node = document.querySelector(%s);"
                    " node.focus(); node.select && node.select(); })()"
                    % json.dumps(selector))
        self.call("Input.insertText", text=text)

    def choose(self, selector, value):
        self.script("""(() => {
            const node = document.querySelector(%s);
            node.value = %s;
            node.dispatchEvent(new Event('input', { bubbles: true }));
            node.dispatchEvent(new Event('change', { bubbles: true }));
        })()""" % (json.dumps(selector), json.dumps(value)))

    def size(self, width, height, dark=False, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme",
             "value": "dark" if dark else "light"}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def requests(self):
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        """Exceptions, console messages and what the browser itself logged, a
        breach of the content policy among them. What it logs of answers with
        an error status is left out: tests ask for them."""
        found = []
        for event in self.events:
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"])
            elif event["method"] == "Runtime.consoleAPICalled":
                found.append(parameters)
            elif (event["method"] == "Log.entryAdded" and
                  parameters["entry"]["source"] != "network"):
                found.append(parameters["entry"])
        return found
