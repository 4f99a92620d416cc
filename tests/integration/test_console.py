"""The console as people use it: a few ways through it, in both languages, in a real browser."""

import json
import re
from collections.abc import Iterator
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests import browser as browsers
from tests.browser import PATIENCE_MS, visiting
from tests.integration.client import Api, Platform, User

PASSWORD = "correct horse battery"
expect.set_options(timeout=PATIENCE_MS)
HEARD = """new Promise((heard) => {
  const player = document.querySelector("audio");
  if (player.duration > 0) heard();
  else player.addEventListener("loadedmetadata", heard);
})"""
in_a_browser = pytest.mark.needs("quiet_network")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.running() as running:
        yield running


def register(page: Page, url: str, words: tuple[str, str]) -> str:
    """Create an account on the page; the words are those of the switch and of the button."""
    email = f"{uuid4().hex}@example.com"
    page.goto(f"{url}/console")
    page.get_by_role("radio", name=words[0]).check()
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(PASSWORD)
    page.get_by_role("button", name=words[1], exact=True).click()
    return email


# ---------------------------------------------------------------- without a browser


def test_the_page_and_all_that_it_loads_are_served(platform: Platform) -> None:
    page = requests.get(f"{platform.api_url}/console", timeout=60)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    for reference in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        asset = requests.get(f"{platform.api_url}/{reference}", timeout=60)
        assert asset.status_code == 200, reference
        assert "immutable" in asset.headers["Cache-Control"]
    assert requests.get(f"{platform.api_url}/console/assets/old/main.js", timeout=60).status_code == 404


def test_a_session_of_the_page_is_renewed_by_its_cookie_and_ends(platform: Platform, ana: User) -> None:
    url = f"{platform.api_url}/console/session/token"
    with requests.Session() as visitor:
        begun = visitor.post(url, json={"refreshToken": ana.refresh_token}, timeout=60)
        assert begun.status_code == 200
        (cookie,) = list(visitor.cookies)
        assert (cookie.name, cookie.path.rstrip("/")) == ("console_session", "/console/session")
        renewed = visitor.post(url, json={}, timeout=60)
        assert Api(platform.api_url, renewed.json()["accessToken"]).get("/users/me").json()["email"] == ana.email
        assert visitor.post(url, json={}, headers={"Sec-Fetch-Site": "cross-site"}, timeout=60).status_code == 403
        assert visitor.delete(url, timeout=60).status_code == 204
        assert visitor.post(url, json={}, timeout=60).status_code == 204


# ---------------------------------------------------------------- in a browser


@in_a_browser
def test_a_newcomer_makes_a_picture_and_another_like_it(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-GB") as (page, _):
        email = register(page, platform.api_url, ("Create account", "Create account"))
        expect(page.get_by_text("No pictures yet")).to_be_visible()
        page.get_by_label("Description").fill("a lighthouse <b>at dawn</b>")
        page.get_by_role("radio", name="Other").check()
        page.get_by_label("Size").fill("96x64")
        page.get_by_label("Seed", exact=True).fill("7")
        page.get_by_role("button", name="Make picture").click()
        tile = page.get_by_role("button", name="Open: a lighthouse <b>at dawn</b>")
        expect(tile.locator("img.there")).to_be_visible()
        tile.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("96x64")).to_be_visible()
        with page.expect_download() as download:
            dialog.get_by_role("button", name="Download").click()
        assert re.fullmatch(r"[0-9a-f-]{36}\.(png|jpg|webp)", download.value.suggested_filename)
        page.get_by_label("Description").fill("")
        dialog.get_by_role("button", name="Again with these").click()
        expect(page.get_by_label("Description")).to_have_value("a lighthouse <b>at dawn</b>")
        expect(page.get_by_label("Seed", exact=True)).to_have_value("7")
        page.get_by_role("button", name="Make picture").click()
        expect(page.locator(".tile")).to_have_count(2)
        page.locator(".tile button").first.click()
        dialog.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator(".tile")).to_have_count(1)
        # Logged out, what was there is gone; logged in again, it is back.
        page.get_by_role("link", name="Account").click()
        page.get_by_role("button", name="Log out", exact=True).click()
        page.locator("input[name=email]").fill(email)
        page.locator("input[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Pictures").click()
        expect(page.locator(".tile")).to_have_count(1)


@in_a_browser
@pytest.mark.needs("streaming")
def test_a_conversation_is_streamed_stopped_renamed_and_still_there_after_a_reload(
    browser: Browser, platform: Platform
) -> None:
    with visiting(browser, locale="es-ES") as (page, _):
        register(page, platform.api_url, ("Crear cuenta", "Crear cuenta"))
        page.get_by_role("link", name="Chat").click()
        message = page.get_by_role("textbox", name="Tu mensaje")
        said = "# Hola\n\n```py\nx = 1\n```\n\n[enlace](https://example.com) <img src=x onerror=alert(1)>"
        message.fill(f"Saluda [[say:{quote(said)}]]")
        message.press("Enter")
        answer = page.get_by_role("article", name="Respuesta")
        expect(answer.get_by_role("heading", name="Hola")).to_be_visible()
        expect(answer.locator("pre")).to_have_text("x = 1\n")
        expect(answer.locator("img")).to_have_count(0)
        expect(answer.get_by_role("link", name="enlace")).to_have_attribute("rel", "noopener noreferrer nofollow")
        expect(answer.get_by_role("button", name="Copiar", exact=True)).to_be_visible()
        expect(answer.get_by_role("button", name="Copiar la respuesta")).to_be_visible()
        expect(page).to_have_url(re.compile(r"#/chat/[0-9a-f-]{36}$"))
        # Each piece takes its time, so there is something to stop.
        message.fill(f"Cuenta [[pause:0.3]] [[say:{quote('uno dos tres cuatro cinco seis siete ocho')}]]")
        message.press("Enter")
        expect(answer.nth(1).get_by_text("uno dos")).to_be_visible()
        page.get_by_role("button", name="Detener").click()
        expect(page.get_by_text("Lo has detenido aquí.")).to_be_visible()
        page.get_by_role("button", name="Cambiar el nombre").click()
        page.get_by_role("textbox", name="Título").fill("Faros <i>y</i> barcos")
        page.get_by_role("button", name="Guardar").click()
        page.get_by_role("button", name="Marcar como favorita").click()
        expect(page.get_by_role("button", name="Quitar de favoritas")).to_be_visible()
        # The refresh token is in its cookie, and the whole answer in the session.
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        expect(page.get_by_role("heading", name="Faros <i>y</i> barcos")).to_be_visible()
        expect(page.get_by_role("article", name="Respuesta").nth(0)).to_contain_text("Hola")
        # The list has the session; an answer about it alone might come after its end.
        assert any("/chat/sessions?" in url for url in asked)
        assert not [url for url in asked if re.search(r"/chat/sessions/[0-9a-f-]{36}$", url)]
        page.get_by_placeholder("Buscar por título").fill("fáros")
        expect(page.get_by_role("navigation", name="Sesiones").get_by_role("link")).to_have_count(1)
        page.get_by_role("button", name="Eliminar", exact=False).first.click()
        page.get_by_role("dialog").get_by_role("button", name="Eliminar").click()
        expect(page.get_by_text("Pregunta algo")).to_be_visible()


@in_a_browser
def test_a_file_is_summarised_a_text_is_said_and_usage_counts_both(browser: Browser, platform: Platform) -> None:
    with visiting(browser, locale="en-US", width=360) as (page, _):
        register(page, platform.api_url, ("Create account", "Create account"))
        page.get_by_role("link", name="Summaries").click()
        text = "The harbour was rebuilt after the storm. Its walls are of thicker stone now. Fishermen came back. " * 5
        page.locator("input[type=file]").set_input_files(
            {"name": "<b>harbour</b>.txt", "mimeType": "text/plain", "buffer": text.encode()}
        )
        expect(page.get_by_text("<b>harbour</b>.txt")).to_be_visible()
        page.get_by_role("radio", name="Bullets").check()
        page.get_by_role("button", name="Summarise").click()
        expect(page.locator("ul.summary li").first).to_contain_text("harbour")
        page.get_by_role("link", name="Speech").click()
        page.get_by_role("textbox", name="Text").fill("Good morning.")
        page.get_by_label("Voice").select_option(label="Spanish")
        page.get_by_role("button", name="Say it").click()
        player = page.locator("audio")
        expect(player).to_be_visible()
        page.evaluate(HEARD)
        page.get_by_role("link", name="Usage").click()
        tile = page.locator(".tiles > div").first
        load = page.get_by_role("button", name="Load again")
        # It counts within some seconds, and the page does not ask by itself.
        for _ in range(100):
            if "2" in (tile.locator(".value").text_content() or ""):
                break
            with page.expect_response(re.compile("analytics/costs")):
                load.click()
        expect(tile.locator(".value")).to_have_text("2")
        expect(page.locator(".uplot canvas").first).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("button", name="Costs as CSV").click()
        assert download.value.suggested_filename.endswith(".csv")
        # What was kept for a reload is the user's own.
        assert "Good morning." in json.dumps(page.evaluate("({...sessionStorage})"))
        page.get_by_role("link", name="Account").click()
        page.get_by_role("button", name="Log out", exact=True).click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert page.evaluate("Object.keys(sessionStorage).length") == 0
