"""Lost connections, ended sessions, limits, parts that start slowly; and the keyboard alone."""

import json
import re

from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import visiting
from tests.console.visitor import PASSWORD, Visitor, settled
from tests.integration.client import Api, Platform


def test_a_lost_connection_takes_nothing_and_nothing_is_made_twice(browser: Browser, platform: Platform) -> None:
    ana = Visitor.new(platform)
    with visiting(browser, locale="en-GB") as (page, complaints):
        complaints.expected.append("ERR_INTERNET_DISCONNECTED|net::ERR_FAILED")
        ana.log_in(page)
        keys: list[str] = []

        def lose(route: Route) -> None:
            # It arrives, and its answer does not.
            keys.append(route.request.headers["idempotency-key"])
            if len(keys) == 1:
                route.fetch()
                route.abort()
            else:
                route.continue_()

        page.route("**/image/generate", lose)
        page.get_by_label("Description").fill("a harbour at night")
        page.get_by_role("button", name="Make picture").click()
        job = page.locator(".job")
        expect(job).to_contain_text("Nothing is lost")
        expect(page.get_by_label("Description")).to_have_value("a harbour at night")
        job.get_by_role("button", name="Try again").click()
        expect(page.locator(".tile")).to_have_count(1)
        assert len(set(keys)) == 1
        page.context.set_offline(True)
        expect(page.get_by_text("No connection. What you have typed stays here.")).to_be_visible()
        page.context.set_offline(False)
        settled(page)
        page.reload()
        expect(page.get_by_label("Description")).to_have_value("a harbour at night")
        assert len(ana.api.get("/admin/images").json()["items"]) == 1


def test_a_session_that_ended_leaves_what_was_typed(browser: Browser, platform: Platform) -> None:
    ana = Visitor.new(platform)
    with visiting(browser, locale="en-GB") as (page, complaints):
        complaints.expected.append("the server responded with a status of 401")
        ana.log_in(page, "speech")
        page.get_by_role("textbox", name="Text").fill("To be said later.")
        (here,) = [one for one in sessions_of(ana) if "Mozilla" in (one["userAgent"] or "")]
        ana.api.call("DELETE", f"/auth/sessions/{here['id']}")
        page.reload()
        expect(page.get_by_text("Your session has ended.")).to_be_visible()
        page.locator("input[name=email]").fill(ana.email)
        page.locator("input[name=password]").fill("a wrong password")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("The email or the password is wrong.")
        page.locator("input[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("textbox", name="Text")).to_have_value("To be said later.")


def sessions_of(visitor: Visitor) -> list[dict[str, str]]:
    found: list[dict[str, str]] = visitor.api.get("/auth/sessions").json()["items"]
    return found


def test_a_device_is_logged_out_and_a_password_changed(browser: Browser, platform: Platform) -> None:
    ana = Visitor.new(platform)
    with visiting(browser, locale="en-GB") as (page, complaints):
        complaints.expected.append("the server responded with a status of 403")
        ana.log_in(page, "account")
        page.get_by_role("button", name="Log out python-requests").click()
        page.get_by_role("dialog").get_by_role("button", name="Log out that device").click()
        expect(page.locator(".lines li")).to_have_count(1)
        page.get_by_label("Current password").fill("not the password")
        page.get_by_label("New password").fill("wrong donkey charger clip")
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("alert")).to_contain_text("The current password is wrong.")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_text("Password changed; all other devices are logged out")).to_be_visible()
    answer = Api(platform.api_url).post("/auth/login", {"email": ana.email, "password": "wrong donkey charger clip"})
    assert answer.status_code == 200


def test_a_limit_shows_before_it_is_hit(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-GB") as (page, complaints):
        complaints.expected.append("the server responded with a status of 429")
        Visitor.new(platform).log_in(page, "speech")
        left = iter(("1", "0"))

        def counted(route: Route) -> None:
            remaining = next(left, None)
            headers = {"RateLimit-Limit": "2", "RateLimit-Remaining": remaining or "0", "RateLimit-Reset": "50"}
            if remaining is None:
                problem = {"type": "urn:llm-microservices:problem:rate-limited", "detail": "Too many requests."}
                body = json.dumps(problem)
                route.fulfill(status=429, headers=headers | {"Retry-After": "50"}, body=body)
            else:
                answer = route.fetch()
                route.fulfill(response=answer, headers=answer.headers | {k.lower(): v for k, v in headers.items()})

        page.route("**/tts/generate", counted)
        page.get_by_role("textbox", name="Text").fill("Good morning.")
        page.get_by_role("button", name="Say it").click()
        expect(page.locator(".allowance")).to_contain_text("1 of 2 calls left")
        page.get_by_role("button", name="Say it").click()
        expect(page.locator(".allowance")).to_contain_text("No call left")
        page.get_by_role("button", name="Say it").click()
        expect(page.get_by_role("alert")).to_contain_text("That was a lot in one minute. Try again in 50 s.")


def test_a_part_that_has_to_start_is_waited_for_with_a_sign(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-GB") as (page, _):
        Visitor.new(platform).log_in(page)
        held: list[Route] = []
        page.route("**/admin/audios?*", lambda route: held.append(route))
        page.get_by_role("link", name="Speech").click()
        expect(page.get_by_text("Waking up a part that had gone to sleep …")).to_be_visible()
        for route in held:
            route.continue_()
        expect(page.get_by_text("Waking up a part that had gone to sleep …")).to_have_count(0)
        expect(page.get_by_text("Nothing said yet")).to_be_visible()


def test_the_keyboard_alone_does_it(browser: Browser, platform: Platform) -> None:
    ana = Visitor.new(platform)
    with visiting(browser, locale="en-GB") as (page, _):
        page.goto(f"{platform.api_url}/console")
        page.locator("form.login").wait_for()
        page.keyboard.type(ana.email)
        focus(page, "input[name=password]")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.locator("main.page").wait_for()
        focus(page, "textarea")
        page.keyboard.type("a small harbour")
        page.keyboard.press("Control+Enter")
        page.locator(".tile img.there").wait_for()
        focus(page, ".tile button")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        # Where the dialog was opened from.
        assert page.evaluate("document.activeElement.matches('.tile button')")
        focus(page, "a[href='#/chat']", back=True)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Chat", level=1)).to_be_focused()
        focus(page, "textarea")
        page.keyboard.type("Who is there?")
        page.keyboard.press("Enter")
        expect(page.get_by_role("article", name="Answer")).to_contain_text("You said: Who is there?")


def focus(page: Page, selector: str, *, back: bool = False) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by the keyboard")


def test_an_administrator_sees_everybody_and_a_user_only_himself(browser: Browser, platform: Platform) -> None:
    ana, bob = Visitor.new(platform), Visitor.new(platform)
    made = bob.make("/tts/generate", {"prompt": "Good morning.", "voice": "en"})
    with visiting(browser, locale="en-GB") as (page, _):
        bob.log_in(page, "usage")
        expect(page.get_by_label("Whose")).to_have_count(0)
    platform.operate("promote", ana.email)
    with visiting(browser, locale="en-GB") as (page, _):
        ana.log_in(page, "usage")
        page.get_by_label("Whose").select_option(label="Everybody’s")
        one = page.locator("tbody th button.mono").first
        name = one.text_content()
        one.click()
        whose = page.get_by_label("User’s id")
        expect(whose).to_have_value(name or "")
        whose.fill(made["userId"])
        whose.press("Tab")
        again = page.get_by_role("button", name="Load again")
        requests = page.locator(".tiles .value").first
        # It counts within some seconds, and the page does not ask by itself.
        for _ in range(100):
            with page.expect_response(re.compile(f"analytics/costs.*{made['userId']}")):
                again.click()
            settled(page)
            if requests.text_content() == "1":
                break
        expect(requests).to_have_text("1")
