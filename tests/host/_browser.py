"""Chromium on a host of the lab, driven over WebDriver (w3.org/TR/webdriver2) through Debian's chromedriver."""
import base64
import contextlib
import json
import urllib.error
import urllib.request

from _hosts import wait_until

PACKAGES = ["chromium", "chromium-driver", "fonts-nanum"]
PORT = 9515
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--user-data-dir=/tmp/profile", "--window-size=1280,900", "--lang=en-US"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"   # the name of an element's id in JSON (§ 12.1)
ENTER = "\ue007"


class Browser:
    """One browser with one window. Elements are named by CSS selectors, and every use of one waits until it is there and can be used."""

    def __init__(self, host, pictures):
        self.host, self.pictures = host, pictures
        pictures.mkdir(parents=True, exist_ok=True)
        host.run("systemd-run", "--unit=chromedriver", "--setenv=HOME=/root", "--setenv=LANG=C.UTF-8", "chromedriver", f"--port={PORT}", "--allowed-ips=", "--allowed-origins=*")
        host.wait_for_port(PORT)
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": FLAGS}, "goog:loggingPrefs": {"browser": "ALL"},
                  "unhandledPromptBehavior": "accept"}
        self.session = self.reason = None
        self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def ask(self, method, path, body=None):
        if self.session:
            path = f"/session/{self.session}{path}"
        request = urllib.request.Request(f"http://{self.host.address4}:{PORT}{path}", method=method, headers={"Content-Type": "application/json"},
                                         data=json.dumps(body if body is not None else {}).encode() if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise BrowserError(value["error"], value["message"].splitlines()[0]) from None

    def close(self):
        if self.session:
            with contextlib.suppress(BrowserError, OSError):
                self.ask("DELETE", "")
        self.session = None

    # --- pages
    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def url(self):
        return self.ask("GET", "/url")

    def script(self, text, *words):
        return self.ask("POST", "/execute/sync", {"script": text, "args": list(words)})

    def frame(self, selector=None):
        """Goes into a frame of the top page, or back to that."""
        self.ask("POST", "/frame", {"id": None})
        if selector:
            self.ask("POST", "/frame", {"id": {ELEMENT: self.find(selector)}})

    def picture(self, name):
        (self.pictures / f"{name}.png").write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def console(self):
        """What the page's scripts complained of since the last call."""
        return [entry for entry in self.ask("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    # --- elements
    def all(self, selector):
        return [found[ELEMENT] for found in self.ask("POST", "/elements", {"using": "css selector", "value": selector})]

    def find(self, selector, timeout=40):
        return wait_until(lambda: self.all(selector), f"{selector} on {self.url()}", timeout, 0.05)[0]

    def use(self, selector, action, timeout=40):
        """Does something with an element as soon as it can be done."""
        def attempt():
            for element in self.all(selector):   # the page has hidden doubles of many buttons
                try:
                    action(element)
                    return True
                except BrowserError as error:
                    if error.kind not in ("element click intercepted", "element not interactable", "stale element reference"):
                        raise
                    self.reason = error
            return False

        self.reason = None
        try:
            wait_until(attempt, f"{selector} can be used on {self.url()}", timeout, 0.1)
        except AssertionError as error:
            self.picture("stuck")
            raise AssertionError(f"{error} ({self.reason})") from None

    def click(self, selector):
        self.use(selector, lambda element: self.ask("POST", f"/element/{element}/click"))

    def type(self, selector, text):
        self.use(selector, lambda element: self.ask("POST", f"/element/{element}/value", {"text": text}))

    def text(self, selector):
        return self.ask("GET", f"/element/{self.find(selector)}/text")

    def wait_for_text(self, selector, text, timeout=40):
        def look():
            with contextlib.suppress(BrowserError):
                return any(text in self.ask("GET", f"/element/{element}/text") for element in self.all(selector))
            return False
        try:
            wait_until(look, f"'{text}' in {selector} on {self.url()}", timeout, 0.1)
        except AssertionError:
            self.picture("stuck")
            raise

    def wait_for(self, condition, what, timeout=40):
        """Until a JavaScript expression of the page is true."""
        try:
            return wait_until(lambda: self.script(f"return {condition}"), f"{what} on {self.url()}", timeout, 0.1)
        except AssertionError:
            self.picture("stuck")
            raise


class BrowserError(Exception):
    def __init__(self, kind, message):
        super().__init__(f"{kind}: {message}")
        self.kind = kind
