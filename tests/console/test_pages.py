"""Every page, at two widths, in light and dark, in both languages: axe-core finds nothing, and nothing sticks out."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import visiting
from tests.console.visitor import Visitor, go, is_wider_than_the_window, settled
from tests.integration.client import Platform

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ANSWER = """# Sorting a list

Use `sorted`, which returns a *new* list:

```python
def by_length(words: list[str]) -> list[str]:
    return sorted(words, key=len)  # goes on beyond the width of the block, at least on a telephone
```

1. It is **stable**.
2. It takes a key.

| way | time |
|---|---|
| sorted | n log n |

> See [the documentation](https://docs.python.org/3/)."""
LONG = ("A very long description of a scene with many details, one after the other. " * 28)[:2000]
PROMPTS = (
    "A lighthouse at dawn, watercolour, soft light",
    "منارة على البحر عند الفجر",
    "夜明けの灯台、水彩画",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
    LONG,
)


@pytest.fixture(scope="module")
def ana(platform: Platform) -> Visitor:
    """Who has used everything, and is an administrator."""
    ana = Visitor.new(platform)
    for number, prompt in enumerate(PROMPTS):
        ana.make("/image/generate", {"prompt": prompt, "size": ("96x96", "64x96", "96x64")[number % 3], "seed": number})
    for prompt, voice in (("Good morning. The platform works.", "en"), ("صباح الخير", "ar"), (PROMPTS[3], "de")):
        ana.make("/tts/generate", {"prompt": prompt, "voice": voice})
    text = "The harbour was rebuilt after the storm. Its walls are of thicker stone now. Fishermen came back. " * 6
    for style in ("paragraph", "bullets"):
        ana.make("/summarize/generate", {"text": text, "style": style})
    for prompt in ("What is a lighthouse for?", "لماذا السماء زرقاء؟", PROMPTS[3]):
        ana.make("/chat/generate", {"prompt": prompt})
    ana.make("/chat/generate", {"prompt": f"How do I sort a list? [[say:{quote(ANSWER)}]]"})
    platform.operate("promote", ana.email)
    return ana


def look(page: Page, name: str, pictures: Path, *, whole: bool = True) -> None:
    """Take a picture of the page, and let axe-core examine it."""
    settled(page)
    page.screenshot(path=pictures / f"{name}.png", full_page=whole)
    assert not is_wider_than_the_window(page), name
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response["violations"]
    told = [(each["id"], each["help"], [node["html"][:200] for node in each["nodes"]]) for each in found]
    assert told == [], f"{name}: {json.dumps(told, indent=1, ensure_ascii=False)}"


LOOKS = [
    (width, scheme, "es-ES" if (width == 360) == (scheme == "light") else "en-GB")
    for width in (1440, 360)
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize(("width", "scheme", "locale"), LOOKS)
def test_every_page_is_well_formed_for_everybody(
    browser: Browser, ana: Visitor, pictures: Path, width: int, scheme: str, locale: str
) -> None:
    tag = f"{width}-{scheme}"
    with visiting(browser, width=width, color_scheme=scheme, locale=locale) as (page, _):
        page.goto(f"{ana.platform.api_url}/console")
        page.locator("form.login").wait_for()
        look(page, f"login-{tag}", pictures)
        page.locator("input[value=register]").check()
        page.locator("form.login button[type=submit]").click()
        look(page, f"register-{tag}", pictures)

        ana.log_in(page)
        look(page, f"pictures-{tag}", pictures)
        page.locator(".tile button").first.click()
        page.locator(".facts").wait_for()
        look(page, f"picture-{tag}", pictures, whole=False)
        page.locator(".about .quiet-danger").click()
        look(page, f"delete-{tag}", pictures, whole=False)
        # First the question, then the picture.
        page.keyboard.press("Escape")
        page.locator(".facts").wait_for()
        page.keyboard.press("Escape")
        page.locator("form.composer button[type=submit]").click()
        look(page, f"pictures-empty-prompt-{tag}", pictures, whole=False)

        go(page, "speech")
        page.locator(".rows li button:not(.bare)").first.click()
        page.locator("audio").wait_for()
        look(page, f"speech-{tag}", pictures)

        go(page, "summaries")
        for _ in range(2):
            page.locator(".rows li button:not(.bare)").first.click()
            settled(page)
        look(page, f"summaries-{tag}", pictures)

        go(page, "chat")
        look(page, f"chat-new-{tag}", pictures, whole=False)
        (session, *_) = ana.api.get("/chat/sessions").json()["items"]
        go(page, f"chat/{session['id']}")
        page.locator(".prose pre").wait_for()
        look(page, f"chat-{tag}", pictures, whole=False)
        page.locator(".talk > header button").last.click()
        look(page, f"chat-settings-{tag}", pictures, whole=False)
        page.keyboard.press("Escape")
        if width < 500:
            page.locator(".talk > header button").first.click()
            expect(page.locator("dialog .list .title").first).to_be_in_viewport(ratio=1)
            look(page, f"chat-sessions-{tag}", pictures, whole=False)
            page.keyboard.press("Escape")

        go(page, "usage")
        page.locator(".uplot").first.wait_for()
        page.locator("details summary").first.click()
        look(page, f"usage-{tag}", pictures)

        go(page, "account")
        look(page, f"account-{tag}", pictures)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_empty_pages_say_what_to_do(browser: Browser, platform: Platform, pictures: Path, scheme: str) -> None:
    newcomer = Visitor.new(platform)
    with visiting(browser, color_scheme=scheme, locale="en-GB") as (page, _):
        newcomer.log_in(page)
        for part in ("pictures", "speech", "summaries", "chat", "usage"):
            go(page, part)
            expect(page.locator(".empty")).to_have_count(1)
            look(page, f"empty-{part}-{scheme}", pictures, whole=False)


@pytest.mark.parametrize("count", [1, 3, 500])
def test_a_gallery_of_any_size_is_in_order(browser: Browser, platform: Platform, pictures: Path, count: int) -> None:
    """The platform makes one picture; its history says it made many."""
    bob = Visitor.new(platform)
    made = bob.make("/image/generate", {"prompt": "a harbour", "size": "96x96"})
    line = {key: made[key] for key in ("createdAt", "service", "links")} | made["meta"]
    items = [line | {"id": made["id"][:-4] + f"{number:04x}", "prompt": f"harbour {number}"} for number in range(count)]
    url = bob.api.get(f"/image/{made['id']}/download").json()

    with visiting(browser, locale="en-GB") as (page, _):

        def page_of(route: Route) -> None:
            start = int(route.request.url.partition("cursor=")[2] or 0)
            shown = {"items": items[start : start + 24], "nextCursor": str(start + 24) if start + 24 < count else None}
            route.fulfill(json=shown)

        page.route("**/admin/images?*", page_of)
        page.route("**/image/*/download", lambda route: route.fulfill(json=url))
        bob.log_in(page)
        tiles = page.locator(".tile")
        # What is not looked at is not loaded.
        assert tiles.count() == min(count, 24) or count == 500
        assert tiles.count() < 500
        look(page, f"gallery-{count}", pictures, whole=False)
        while tiles.count() < count:
            before = tiles.count()
            tiles.last.scroll_into_view_if_needed()
            tiles.nth(before).wait_for(state="attached")
        assert tiles.count() == count
        # And what was passed over quickly is shown once it is looked at.
        tiles.nth(count // 2).scroll_into_view_if_needed()
        tiles.nth(count // 2).locator("img.there").wait_for()
