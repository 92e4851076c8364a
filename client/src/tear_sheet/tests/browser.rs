//! The page in a browser, over the DevTools protocol: what it draws, says and asks for.
//!
//! Skipped by name without Chromium. Leaves its pictures in `target/tear-sheet`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use protocol::encoding::from_base64;
use serde_json::{Value, json};

use super::{html, payload};

/// File descriptors 3 and 4 are the protocol's pipe; a shell can place them without unsafe code.
const START: &str = r#"exec "$0" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --remote-debugging-pipe --user-data-dir="$1" about:blank 3<&0 4>&1 >/dev/null 2>&1"#;

struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    events: Vec<Value>,
    last: u64,
    session: Option<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Option<Self> {
        let program =
            ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
                let found = Command::new(name).arg("--version").stdout(Stdio::null()).status();
                found.is_ok_and(|status| status.success())
            })?;
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", START, program])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let from = BufReader::new(process.stdout.take().unwrap());
        let mut browser = Self {
            process,
            to,
            from,
            events: Vec::new(),
            last: 0,
            session: None,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, params: impl Into<Value>) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({"id": id, "method": method, "params": params.into()});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(&[0]).unwrap();
        loop {
            let reply = self.receive();
            if reply["id"] == id {
                assert!(reply["error"].is_null(), "{method}: {reply}");
                return reply["result"].clone();
            }
        }
    }

    fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        if message["id"].is_null() {
            self.events.push(message.clone());
        }
        message
    }

    fn open(&mut self, page: &Path) {
        self.events.clear();
        self.call("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            self.receive();
        }
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{result}");
        result["result"]["value"].clone()
    }

    fn picture(&mut self, name: &str, whole: bool) {
        let params = json!({"format": "png", "captureBeyondViewport": whole});
        let shot = self.call("Page.captureScreenshot", params);
        let png = from_base64(shot["data"].as_str().unwrap()).unwrap();
        fs::write(folder().join(name), png).unwrap();
    }

    /// What the page said to the console, and asked for beyond itself.
    fn complaints(&self) -> Vec<String> {
        let said = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"];
        let complaint = |event: &&Value| {
            let method = event["method"].as_str().unwrap_or_default();
            let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
            let asked = method == "Network.requestWillBeSent"
                && !url.starts_with("file:///")
                && !url.starts_with("data:");
            said.contains(&method) || asked
        };
        self.events.iter().filter(complaint).map(Value::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tear-sheet").canonicalize().unwrap()
}

#[test]
fn a_browser_shows_what_was_signed_and_asks_nobody() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tear-sheet");
    fs::create_dir_all(target).unwrap();
    let payload = payload();
    let page = folder().join("sheet.html");
    fs::write(&page, html(&payload)).unwrap();
    let Some(mut browser) = Browser::start() else {
        let reason = "Chromium cannot be installed";
        transport::probe::skip("tear sheet in a browser", reason).unwrap();
        return;
    };
    for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 900)] {
        for theme in ["light", "dark"] {
            let size = json!({"width": width, "height": height, "deviceScaleFactor": 2, "mobile": device == "phone"});
            browser.call("Emulation.setDeviceMetricsOverride", size);
            let media = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
            browser.call("Emulation.setEmulatedMedia", media);
            browser.open(&page);
            browser.picture(&format!("{device}-{theme}.png"), true);
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{device} {theme}");
            let overflow = "document.documentElement.scrollWidth - innerWidth";
            assert!(browser.evaluate(overflow).as_i64().unwrap() <= 0, "{device} is too wide");
            let styled = "getComputedStyle(document.body).backgroundColor";
            let paper = if theme == "dark" { "rgb(16, 22, 29)" } else { "rgb(255, 255, 255)" };
            assert_eq!(browser.evaluate(styled), paper, "the style sheet's hash is the policy's");
            let drawn = "[...document.querySelectorAll('.chart svg')].filter(s => s.getBoundingClientRect().width > 300).length";
            assert_eq!(browser.evaluate(drawn), 2, "{device}: one of each chart is shown");

            for part in ["charts", "accounts"] {
                browser.evaluate(&format!("document.getElementById('{part}').scrollIntoView()"));
                browser.picture(&format!("{device}-{theme}-{part}.png"), false);
            }
            let signed = browser.evaluate("JSON.parse(atob(JSON.parse(document.getElementById('report').textContent).dsse.payload))");
            assert_eq!(signed, serde_json::to_value(&payload).unwrap());
            let shown = browser.evaluate("[...document.querySelectorAll('[data-day]')].map(r => ({day: r.dataset.day, index: r.dataset.index ?? null, drawdown: r.dataset.drawdown ?? null, expected_ticks: +r.dataset.expected, complete_ticks: +r.dataset.complete}))");
            assert_eq!(shown, signed["series"]["days"]);
            let coverage =
                browser.evaluate("document.querySelector('[data-coverage]').dataset.coverage");
            assert_eq!(coverage, signed["results"]["quality"]["coverage"]);
        }
    }
    let pdf = browser.call("Page.printToPDF", json!({"preferCSSPageSize": true}));
    fs::write(folder().join("print.pdf"), from_base64(pdf["data"].as_str().unwrap()).unwrap())
        .unwrap();
}
