"""What people, models and files say is shown, and never run: fifty payloads go through every place that shows a text."""

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import Complaints, visiting
from tests.console.payloads import PAYLOADS
from tests.console.visitor import Visitor, go, settled
from tests.integration.client import Platform

# What of a text may become: nothing of these, and no attribute that runs, but for what the page has itself.
FOREIGN = """() => {
  const own = (node) => node.closest("#console") && !node.closest(".prose");
  const names = "script iframe object embed form link meta base style template video math marquee body img input textarea select";
  const inside = [...document.querySelectorAll(".prose *, .said *, .clamp *, .title *, .summary *, .file > span *, .notice .detail *")];
  const nodes = inside.filter((node) => names.split(" ").includes(node.localName) || node.localName === "svg" && !node.classList.contains("icon"));
  const attributes = [...document.querySelectorAll("*")].flatMap((node) => [...node.attributes])
    .filter(({ name, value }) => name.startsWith("on") || /^(href|src|action|formaction|xlink:href)$/.test(name) && /^\\s*(javascript|data):/i.test(value));
  return [...nodes.map((node) => node.outerHTML), ...attributes.map(({ name, value }) => `${name}=${value}`)];
}"""


def nothing_ran(page: Page, complaints: Complaints) -> None:
    settled(page)
    assert page.evaluate(FOREIGN) == []
    assert page.evaluate("window.wasPwned ?? 0") == 0
    assert complaints.unexpected == []


def armed(page: Page) -> None:
    """Whatever runs is counted, and nothing leaves for elsewhere."""
    page.add_init_script("window.pwned = () => { window.wasPwned = (window.wasPwned ?? 0) + 1; };")
    page.route("https://evil.example/**", lambda route: pytest.fail(f"asked for {route.request.url}"))


def titled(payload: str) -> str:
    """As far as a title takes it."""
    return payload.replace("\n", " ").replace("\t", " ")[:200]


@pytest.fixture(scope="module")
def mallory(platform: Platform) -> Visitor:
    mallory = Visitor.new(platform)
    for payload in PAYLOADS:
        mallory.make("/image/generate", {"prompt": payload, "size": "64x64"})
        mallory.make("/tts/generate", {"prompt": payload + " hello"})
        mallory.make(
            "/summarize/generate", {"text": f"{payload} is what was said. It was said twice. Nobody heard it."}
        )
        session = mallory.make("/chat/sessions", {"title": titled(payload), "system": payload})
        said = quote(f"{payload}\n\nand {payload}", safe="")
        mallory.make("/chat/generate", {"prompt": f"{payload} [[say:{said}]]", "sessionId": session["id"]})
    return mallory


def test_prompts_in_the_gallery_and_beside_a_picture(browser: Browser, mallory: Visitor) -> None:
    with visiting(browser, locale="en-GB") as (page, complaints):
        armed(page)
        mallory.log_in(page)
        tiles = page.locator(".tile button")
        expect(tiles).not_to_have_count(0)
        while tiles.count() < len(PAYLOADS):
            before = tiles.count()
            tiles.last.scroll_into_view_if_needed()
            tiles.nth(before).wait_for(state="attached")
        names = page.evaluate("[...document.querySelectorAll('.tile .caption')].map((each) => each.textContent)")
        assert sorted(names) == sorted(each.strip() for each in PAYLOADS)
        nothing_ran(page, complaints)
        for number in range(len(PAYLOADS)):
            tiles.nth(number).click()
            page.locator(".facts").wait_for()
            assert page.locator(".about .said").text_content() == names[number]
            assert page.evaluate(FOREIGN) == []
            page.keyboard.press("Escape")
            expect(page.locator("dialog")).to_have_count(0)
        nothing_ran(page, complaints)


@pytest.mark.parametrize("part", ["speech", "summaries"])
def test_texts_of_speech_and_summaries(browser: Browser, mallory: Visitor, part: str) -> None:
    with visiting(browser, locale="en-GB") as (page, complaints):
        armed(page)
        mallory.log_in(page, part)
        rows = page.locator(".rows > li")
        expect(rows).not_to_have_count(0)
        while rows.count() < len(PAYLOADS):
            before = rows.count()
            rows.last.scroll_into_view_if_needed()
            rows.nth(before).wait_for(state="attached")
        show = page.locator(".rows > li button:not(.bare)")
        for _ in range(rows.count()):
            if show.count() == 0:
                break
            show.first.click()
            settled(page)
        nothing_ran(page, complaints)


def test_titles_instructions_questions_and_answers_of_chat(browser: Browser, mallory: Visitor) -> None:
    sessions = mallory.api.get("/chat/sessions?limit=100").json()["items"]
    assert len(sessions) == len(PAYLOADS)
    with visiting(browser, locale="en-GB") as (page, complaints):
        armed(page)
        mallory.log_in(page, "chat")
        for session in sessions:
            go(page, f"chat/{session['id']}")
            expect(page.locator(".message.assistant .prose"), session["title"]).to_contain_text("and")
            assert page.locator(".talk h2").text_content() == session["title"]
            nothing_ran(page, complaints)
        page.locator(".talk > header button").last.click()
        expect(page.get_by_role("textbox", name="Instructions")).to_have_value(sessions[-1]["system"])
        nothing_ran(page, complaints)


def test_an_answer_while_it_is_written(browser: Browser, mallory: Visitor) -> None:
    with visiting(browser, locale="en-GB") as (page, complaints):
        armed(page)
        mallory.log_in(page, "chat")
        said = quote("\n\n".join(PAYLOADS), safe="")
        message = page.get_by_role("textbox", name="Your message")
        message.fill(f"[[say:{said}]] [[bytes]]")
        message.press("Enter")
        page.get_by_role("button", name="Copy the answer").wait_for()
        nothing_ran(page, complaints)


def test_names_of_files(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-GB") as (page, complaints):
        armed(page)
        Visitor.new(platform).log_in(page, "summaries")
        for payload in PAYLOADS:
            for content in (b"A text.", b"\xff\xfe"):
                page.locator("input[type=file]").set_input_files(
                    {"name": payload.replace("/", "\u2215"), "mimeType": "text/plain", "buffer": content}
                )
            assert page.evaluate(FOREIGN) == []
        expect(page.locator(".field .error")).to_contain_text("is not a text file")
        nothing_ran(page, complaints)


def test_errors_of_the_platform(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-GB") as (page, complaints):
        armed(page)
        complaints.expected.append("the server responded with a status of 422")
        Visitor.new(platform).log_in(page)
        answers = iter(PAYLOADS)

        def refuse(route: Route) -> None:
            text = next(answers)
            problem = {
                "type": f"urn:llm-microservices:problem:{text}",
                "title": text,
                "detail": text,
                "errors": [{"field": text, "message": text}],
            }
            route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(problem))

        page.route("**/image/generate", refuse)
        page.get_by_label("Description").fill("a harbour")
        for count in range(1, len(PAYLOADS) + 1):
            page.get_by_role("button", name="Make picture").click()
            expect(page.locator(".job [role=alert]")).to_have_count(count)
        shown = page.locator(".job .detail").all_text_contents()
        assert sorted(shown) == sorted(f"{text}: {text}" for text in PAYLOADS)
        nothing_ran(page, complaints)


def test_what_a_browser_calls_itself(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-GB") as (page, complaints):
        armed(page)
        Visitor.new(platform).log_in(page)
        sessions = [
            {"id": f"{number}", "createdAt": "2026-11-26T12:00:00.000Z", "lastUsedAt": "2026-11-26T12:00:00.000Z",
             "userAgent": payload, "ip": payload, "current": number == 0}
            for number, payload in enumerate(PAYLOADS)
        ]  # fmt: skip
        page.route("**/auth/sessions", lambda route: route.fulfill(json={"items": sessions}))
        go(page, "account")
        page.get_by_role("button", name="Show all 50").click()
        expect(page.locator(".lines li")).to_have_count(len(PAYLOADS))
        nothing_ran(page, complaints)
