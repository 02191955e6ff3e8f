//! A headless browser that clicks and types as a person would.

use std::path::Path;
use std::time::Duration;

use dev::stack::process::Process;
use dev::stack::program::Program;
use dev::stack::tools;
use dev::testing::http_client;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use futures::future::join_all;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

use super::{eventually, free_port};

/// Pages render slowly on a machine that is busy with tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Chromium. It ends when this value is dropped.
pub struct Browser {
    client: Client,
    /// Ends before the profile's folder is deleted.
    driver: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with an empty profile and a window of this size, in pixels.
    pub async fn open(width: u32, height: u32) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = profile.path().join("driver.log");
        let driver = tools::find("chromedriver").unwrap();
        let mut driver = Program::new("chromedriver", driver, log)
            .arg(format!("--port={port}"))
            .start()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let status = format!("{url}/status");
        let ready =
            async || Ok(http_client().get(&status).send().await?.error_for_status().map(drop)?);
        driver.until_ready(PATIENCE, ready).await.unwrap();
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-first-run".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().join("profile").display()),
        ];
        let options = json!({ "args": arguments, "binary": tools::find("chromium").unwrap() });
        let capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&url).await.unwrap();
        Self { client, driver, _profile: profile }
    }

    /// Opens a page.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits for the element and returns it.
    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("no {css}: {error}"))
    }

    /// Whether such an element exists now.
    pub async fn has(&self, css: &str) -> bool {
        !self.client.find_all(Locator::Css(css)).await.unwrap().is_empty()
    }

    /// Waits for the element, scrolls it into view, and clicks it.
    pub async fn click(&self, css: &str) {
        self.act(css, async |element| element.click().await).await;
    }

    /// Waits for the element and scrolls it into the middle of the view.
    pub async fn scroll_to(&self, css: &str) {
        self.act(css, async |_| Ok(())).await;
    }

    /// Replaces the text of a field with `text`.
    pub async fn write(&self, css: &str, text: &str) {
        let select_all = format!("{}a{}", char::from(Key::Control), char::from(Key::Null));
        let keys = format!("{select_all}{text}");
        self.act(css, async |field| field.send_keys(&keys).await).await;
    }

    /// Scrolls the element into view and applies `action` to it. Repeats that while the page is
    /// redrawing.
    async fn act(&self, css: &str, action: impl AsyncFn(Element) -> Result<(), CmdError>) {
        eventually(PATIENCE, &format!("something is done with {css}"), async || {
            let element = self.client.find(Locator::Css(css)).await?;
            let script = "arguments[0].scrollIntoView({block: 'center'})";
            self.client.execute(script, vec![serde_json::to_value(&element)?]).await?;
            action(element).await
        })
        .await;
    }

    /// Chooses an option by its label.
    pub async fn choose(&self, css: &str, label: &str) {
        self.find(css).await.select_by_label(label).await.unwrap();
    }

    /// Waits for an element whose text satisfies `wanted`, and returns the text.
    pub async fn text(&self, css: &str, wanted: impl Fn(&str) -> bool) -> String {
        eventually(PATIENCE, &format!("{css} says what is wanted"), async || {
            for element in self.client.find_all(Locator::Css(css)).await.unwrap() {
                let text = element.text().await.unwrap_or_default();
                if wanted(&text) {
                    return Some(text);
                }
            }
            None
        })
        .await
    }

    /// Opens a page and returns whether the text of an element soon contains `wanted`.
    pub async fn shows(&self, url: &str, css: &str, wanted: &str) -> bool {
        self.goto(url).await;
        let text = |element: Element| async move { element.text().await.unwrap_or_default() };
        let found = async {
            self.client
                .wait()
                .at_most(Duration::from_secs(3))
                .for_element(Locator::Css(css))
                .await?;
            self.client.find_all(Locator::Css(css)).await
        };
        let texts = join_all(found.await.unwrap_or_default().into_iter().map(text)).await;
        texts.iter().any(|text| text.contains(wanted))
    }
}

impl Drop for Browser {
    /// Kills the driver: the browser is in the driver's process group, but survives a driver that
    /// ends normally.
    fn drop(&mut self) {
        if let Err(error) = self.driver.kill() {
            eprintln!("{error:#}");
        }
    }
}

/// Saves a screenshot for the docs if `PICTURES` names a folder.
pub async fn keep_picture(browser: &Browser, name: &str) {
    let picture = browser.client.screenshot().await.unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    if let Some(folder) = std::env::var_os("PICTURES") {
        std::fs::write(Path::new(&folder).join(name), picture).unwrap();
    }
}
