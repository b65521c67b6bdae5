//! Opinions, suggestions and figures in a real browser: a customer writes a review, another one votes, shelves are there,
//! an administrator reads charts and pauses a projection; with JavaScript and without it, on a desktop and on a phone.
#![allow(clippy::unwrap_used)]

use emporium_test_kit::eventually;
use emporium_tests::Customer;
use emporium_tests::browser::{Driver, click, count, fill, picture, screen, text_of, too_wide_by};
use thirtyfour::prelude::*;

mod stage;

use stage::{Stage, buy};

const PASSWORD: &str = "correct horse battery";
const DESKTOP: (u32, u32) = (1_280, 900);
const PHONE: (u32, u32) = (390, 844);

/// How a journey is made.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    javascript: bool,
    size: (u32, u32),
}

const WAYS: [Way; 2] = [
    Way {
        name: "desktop",
        javascript: true,
        size: DESKTOP,
    },
    Way {
        name: "phone",
        javascript: false,
        size: PHONE,
    },
];

async fn open(driver: &Driver, way: Way) -> WebDriver {
    let browser = driver.browser(way.javascript, DESKTOP).await;
    screen(&browser, way.size).await;
    browser
}

async fn sign_in(browser: &WebDriver, stage: &Stage, email: &str, password: &str) {
    browser.goto(stage.url("/sign-in")).await.unwrap();
    fill(browser, "#email", email).await;
    fill(browser, "#password", password).await;
    click(browser, "#sign-in").await;
    browser.query(By::Id("nav-account")).first().await.unwrap();
}

/// Looks at a page: nothing on it is wider than the window, and a picture is kept of it.
async fn look(browser: &WebDriver, way: Way, name: &str) {
    let over = too_wide_by(browser).await;
    assert!(over <= 1, "{name} is too wide by {over} on a {}", way.name);
    picture(browser, &format!("{name}-{}", way.name), way.size.0).await;
}

#[tokio::test]
async fn customers_and_administrators_find_their_way() {
    let Some(driver) = Driver::start() else { return };
    let stage = Stage::set().await;
    for way in WAYS {
        let title = format!("Bought for a {}", way.name);
        let author = write_a_review(&driver, &stage, way, &title).await;
        vote(&driver, &stage, way, &title).await;
        look_after_it(&driver, &stage, way, &title, &author).await;
    }
}

async fn write_a_review(driver: &Driver, stage: &Stage, way: Way, title: &str) -> Customer {
    let author = Customer::sign_up(&stage.shop).await;
    let address = author.add_address().await;
    buy(&author, &address, &stage.goods[..1]).await;
    let browser = open(driver, way).await;
    // Before signing in there is a way to it; afterwards the form is where it led.
    browser.goto(stage.product()).await.unwrap();
    assert_eq!(count(&browser, "#write-review").await, 0);
    look(&browser, way, "product-visitor").await;
    click(&browser, "#review-sign-in").await;
    fill(&browser, "#email", &author.email).await;
    fill(&browser, "#password", PASSWORD).await;
    click(&browser, "#sign-in").await;
    browser.query(By::Id("review-form")).first().await.unwrap();
    from_the_order(&browser, stage, way).await;
    click(&browser, "#rating-4").await;
    fill(&browser, "#title", title).await;
    fill(&browser, "#text", "First line <b>not bold</b>.\nSecond line.").await;
    fill(&browser, "#pros", "keeps warm\nlooks good").await;
    fill(&browser, "#cons", "heavy").await;
    look(&browser, way, "review-form").await;
    click(&browser, "#review-save").await;
    let own = text_of(&browser, "#own-review").await;
    assert!(own.contains(title), "{own}");
    let page = text_of(&browser, ".reviews").await;
    for words in [
        title,
        "First line <b>not bold</b>.",
        "Second line.",
        "keeps warm",
        "heavy",
        "Your own review",
    ] {
        assert!(page.contains(words), "{words:?} is missing: {page}");
    }
    assert_eq!(count(&browser, ".reviews .prose b").await, 0);
    // It is a verified purchase as soon as the order's event has come.
    let verified = By::XPath(format!(
        "//li[contains(., '{title}')]//*[contains(@class, 'state') and contains(., 'Verified purchase')]"
    ));
    eventually("the mark", 20, async || {
        browser.refresh().await.unwrap();
        (!browser.find_all(verified.clone()).await.unwrap().is_empty()).then_some(())
    })
    .await;
    // Shelves: what goes with this one, each a card with its reason.
    assert!(
        text_of(&browser, "#bought-together")
            .await
            .contains("Bought together")
    );
    let shelf = "section[aria-labelledby='bought-together']";
    assert_eq!(count(&browser, &format!("{shelf} .cards > li")).await, 2);
    assert!(
        text_of(&browser, shelf).await.contains("Bought together in "),
        "the reason is said"
    );
    assert_eq!(
        count(&browser, &format!("{shelf} .as-of time[datetime]")).await,
        1
    );
    look(&browser, way, "product-customer").await;
    browser.goto(stage.url("/")).await.unwrap();
    eventually("the front page has what goes with it", 20, async || {
        browser.refresh().await.unwrap();
        text_of(&browser, "main")
            .await
            .contains("Because you bought Enamel kettle")
            .then_some(())
    })
    .await;
    look(&browser, way, "home-customer").await;
    browser.goto(stage.url("/account/reviews")).await.unwrap();
    assert!(text_of(&browser, "#my-reviews").await.contains(title));
    look(&browser, way, "my-reviews").await;
    browser.quit().await.unwrap();
    author
}

/// What was bought leads from its order to the form, which is open then.
async fn from_the_order(browser: &WebDriver, stage: &Stage, way: Way) {
    browser.goto(stage.url("/orders")).await.unwrap();
    click(browser, "#orders a.name").await;
    look(browser, way, "order").await;
    click(browser, "#order a.aside").await;
    let form = browser.query(By::Id("review-form")).first().await.unwrap();
    eventually("the form is seen", 10, async || {
        form.is_displayed().await.unwrap().then_some(())
    })
    .await;
    look(browser, way, "product-review-form").await;
}

async fn vote(driver: &Driver, stage: &Stage, way: Way, title: &str) {
    let voter = Customer::sign_up(&stage.shop).await;
    let browser = open(driver, way).await;
    sign_in(&browser, stage, &voter.email, PASSWORD).await;
    let helpful = By::XPath(format!(
        "//li[contains(., '{title}')]//button[starts-with(normalize-space(.), 'Helpful')]"
    ));
    for (label, pressed) in [
        ("Helpful (0)", false),
        ("Helpful (1)", true),
        ("Helpful (0)", false),
    ] {
        browser
            .goto(format!("{}?sort=new", stage.product()))
            .await
            .unwrap();
        let button = browser.find(helpful.clone()).await.unwrap();
        assert_eq!(button.text().await.unwrap(), label, "on a {}", way.name);
        assert_eq!(button.attr("aria-pressed").await.unwrap().is_some(), pressed);
        button.scroll_into_view().await.unwrap();
        button.click().await.unwrap();
        // Back on the same list, at the same review.
        eventually("the answer to the vote", 10, async || {
            let url = browser.current_url().await.unwrap();
            (url.query() == Some("sort=new")
                && url.fragment().is_some_and(|place| place.starts_with("review-")))
            .then_some(())
        })
        .await;
    }
    browser.quit().await.unwrap();
}

async fn look_after_it(driver: &Driver, stage: &Stage, way: Way, title: &str, author: &Customer) {
    let browser = open(driver, way).await;
    sign_in(&browser, stage, &stage.admin.0, &stage.admin.1).await;
    browser.goto(stage.url("/admin")).await.unwrap();
    look(&browser, way, "admin").await;
    browser.goto(stage.url("/admin/business")).await.unwrap();
    assert!(
        count(&browser, "figure.chart svg.plot rect, figure.chart svg.plot path").await > 3,
        "revenue is drawn"
    );
    assert!(count(&browser, "svg.bar").await > 3, "bars are drawn");
    assert!(text_of(&browser, "main").await.contains("as of"));
    look(&browser, way, "business").await;
    eventually("operations are drawn", 40, async || {
        browser.goto(stage.url("/admin/operations")).await.unwrap();
        (count(&browser, "svg.plot path.line").await > 5).then_some(())
    })
    .await;
    look(&browser, way, "operations").await;
    answer_and_hide(&browser, stage, way, title, author).await;
    pause_and_resume(&browser, stage, way).await;
    browser.goto(stage.url("/admin/dead-letters")).await.unwrap();
    assert!(text_of(&browser, "main").await.contains("There are none."));
    look(&browser, way, "dead-letters").await;
    browser.quit().await.unwrap();
}

async fn answer_and_hide(browser: &WebDriver, stage: &Stage, way: Way, title: &str, author: &Customer) {
    browser.goto(stage.url("/admin/reviews")).await.unwrap();
    let entry = format!("//li[contains(., '{title}')]");
    let inside = async |path: &str| browser.find(By::XPath(format!("{entry}{path}"))).await.unwrap();
    let press = async |button: &str| {
        let button = inside(&format!("//button[{button}]")).await;
        button.click().await.unwrap();
    };
    inside("//textarea")
        .await
        .send_keys("Thank you; it is meant to be heavy.")
        .await
        .unwrap();
    press("contains(., 'Save answer')").await;
    let visitor = async || {
        stage
            .shop
            .visitor()
            .get(&format!("/products/{}", stage.goods[0]))
            .await
            .text
    };
    eventually("the answer is seen", 10, async || {
        visitor().await.contains("it is meant to be heavy").then_some(())
    })
    .await;
    browser.goto(stage.url("/admin/reviews")).await.unwrap();
    look(browser, way, "admin-reviews").await;
    inside("//input[@name='reason']")
        .await
        .send_keys("Only a test")
        .await
        .unwrap();
    press("starts-with(., 'Hide')").await;
    eventually("it is hidden", 10, async || {
        (!visitor().await.contains(title)).then_some(())
    })
    .await;
    let mine = author.api.get("/account/reviews").await.text;
    assert!(mine.contains(title) && mine.contains("Only a test"), "{mine}");
    browser
        .goto(stage.url("/admin/reviews?state=hidden"))
        .await
        .unwrap();
    press("starts-with(., 'Show again')").await;
    eventually("it is back", 10, async || {
        visitor().await.contains(title).then_some(())
    })
    .await;
}

async fn pause_and_resume(browser: &WebDriver, stage: &Stage, way: Way) {
    browser.goto(stage.url("/admin/projections")).await.unwrap();
    let row = "#projection-analytics";
    assert!(text_of(browser, row).await.to_lowercase().contains("running"));
    // Nobody has to scroll sideways for what can be done.
    let button = browser.find(By::Css(format!("{row} button"))).await.unwrap();
    let place = button.rect().await.unwrap();
    assert!(
        place.x >= 0.0 && place.x + place.width <= f64::from(way.size.0),
        "{place:?} on a {}",
        way.name
    );
    look(browser, way, "projections").await;
    click(browser, &format!("{row} button")).await;
    eventually("it is paused", 10, async || {
        browser
            .goto(stage.url("/admin/projections/analytics"))
            .await
            .unwrap();
        text_of(browser, "#state")
            .await
            .to_lowercase()
            .contains("paused")
            .then_some(())
    })
    .await;
    let customer = Customer::sign_up(&stage.shop).await;
    let address = customer.add_address().await;
    buy(&customer, &address, &stage.goods[1..2]).await;
    eventually("it falls behind", 10, async || {
        browser
            .goto(stage.url("/admin/projections/analytics"))
            .await
            .unwrap();
        (!text_of(browser, "#lag").await.starts_with('0')).then_some(())
    })
    .await;
    look(browser, way, "projection-paused").await;
    click(browser, "#resume").await;
    eventually("it has caught up", 20, async || {
        browser
            .goto(stage.url("/admin/projections/analytics"))
            .await
            .unwrap();
        let caught_up =
            text_of(browser, "#lag").await.starts_with("0 ") || text_of(browser, "#lag").await == "0";
        (caught_up
            && text_of(browser, "#state")
                .await
                .to_lowercase()
                .contains("running"))
        .then_some(())
    })
    .await;
    look(browser, way, "projection").await;
}
