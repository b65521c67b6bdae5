//! A real browser: Chromium without a screen, driven by a chromedriver of the test's own.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use uuid::Uuid;

/// A chromedriver of our own; it ends with the test.
pub struct Driver {
    child: Child,
    url: String,
    profile: tempfile::TempDir,
}

impl Driver {
    /// `None`, said aloud, when there is no Chromium here. In CI that is a failure.
    pub fn start() -> Option<Self> {
        if !Path::new("/usr/bin/chromedriver").exists() || !Path::new("/usr/bin/chromium").exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has to have chromium and chromium-driver"
            );
            println!("LEFT OUT: the browser test needs Debian's packages chromium and chromium-driver");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("/usr/bin/chromedriver")
            .arg(format!("--port={port}"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            profile: tempfile::tempdir().unwrap(),
        })
    }

    /// A browser with a profile of its own, and a window of this size.
    pub async fn browser(&self, javascript: bool, size: (u32, u32)) -> WebDriver {
        let mut options = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ] {
            options.add_arg(argument).unwrap();
        }
        options
            .add_arg(&format!("--window-size={},{}", size.0, size.1))
            .unwrap();
        let profile = self.profile.path().join(Uuid::new_v4().to_string());
        options
            .add_arg(&format!("--user-data-dir={}", profile.display()))
            .unwrap();
        if !javascript {
            let off = json!({ "profile.managed_default_content_settings.javascript": 2 });
            options.add_experimental_option("prefs", off).unwrap();
        }
        // Settles which cryptography TLS would use: the WebDriver client asks for it even for plain HTTP.
        let _ = emporium_service_kit::client::http_builder();
        WebDriver::new(&self.url, options).await.unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The whole group: a test that failed leaves its browser behind.
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Clicks what the selector finds first.
pub async fn click(browser: &WebDriver, css: &str) {
    let element = browser
        .query(By::Css(css))
        .first()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
    element.scroll_into_view().await.unwrap();
    element
        .click()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
}

/// Types a text into a field, in place of what is there.
pub async fn fill(browser: &WebDriver, css: &str, text: &str) {
    let element = browser
        .query(By::Css(css))
        .first()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
    element.clear().await.unwrap();
    element.send_keys(text).await.unwrap();
}

/// The text that is seen of the first element.
pub async fn text_of(browser: &WebDriver, css: &str) -> String {
    let element = browser
        .query(By::Css(css))
        .first()
        .await
        .unwrap_or_else(|error| panic!("{css}: {error}"));
    element.text().await.unwrap()
}

/// How many elements the selector finds.
pub async fn count(browser: &WebDriver, css: &str) -> usize {
    browser.find_all(By::Css(css)).await.unwrap().len()
}

/// Shows pages from now on as on a screen of this size, however small: a window cannot be narrower than 500.
pub async fn screen(browser: &WebDriver, (width, height): (u32, u32)) {
    let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    let tools = browser.cdp();
    tools
        .send_raw("Emulation.setDeviceMetricsOverride", size)
        .await
        .unwrap();
}

/// By how many pixels the page is wider than its window. Asked of the browser itself, so it works without JavaScript.
pub async fn too_wide_by(browser: &WebDriver) -> i64 {
    let sizes = page_sizes(browser).await;
    let width = |of: &str, name: &str| sizes[of][name].as_f64().unwrap();
    let over = width("cssContentSize", "width") - width("cssLayoutViewport", "clientWidth");
    #[allow(clippy::cast_possible_truncation)] // whole pixels
    let over = over.ceil() as i64;
    over
}

async fn page_sizes(browser: &WebDriver) -> Value {
    let tools = browser.cdp();
    tools.send_raw("Page.getLayoutMetrics", json!({})).await.unwrap()
}

/// Keeps a picture of the whole page in the folder that `EMPORIUM_TEST_SCREENSHOTS` names; without it, none.
pub async fn picture(browser: &WebDriver, name: &str, width: u32) {
    let folder = std::env::var_os("EMPORIUM_TEST_SCREENSHOTS");
    let Some(folder) = folder.filter(|folder| !folder.is_empty()) else {
        return;
    };
    let height = page_sizes(browser).await["cssContentSize"]["height"]
        .as_f64()
        .unwrap();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a page's height
    let height = height.clamp(400.0, 8_000.0) as u32;
    screen(browser, (width, height)).await;
    let file = Path::new(&folder).join(format!("{name}.png"));
    browser.screenshot(&file).await.unwrap();
    screen(browser, (width, 844)).await;
}
