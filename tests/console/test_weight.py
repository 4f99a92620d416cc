"""What the first page weighs over the wire, and that it is not fetched twice."""

from playwright.sync_api import Browser

from tests.browser import visiting
from tests.integration.client import Platform

MOST_BYTES = 150_000


def test_the_first_page_is_light_and_kept(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-GB") as (page, _):
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        sizes: list[int] = []
        session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
        page.goto(f"{platform.api_url}/console")
        page.locator("form.login").wait_for()
        page.wait_for_load_state("networkidle")
        first = sum(sizes)
        print(f"\nfirst page: {len(sizes)} requests, {first:,} bytes with headers")
        assert first < MOST_BYTES
        assert len(sizes) > 5
        sizes.clear()
        page.reload()
        page.locator("form.login").wait_for()
        page.wait_for_load_state("networkidle")
        # The page itself, which is small, is asked for again; what it loads is there.
        assert sum(sizes) < 5_000
